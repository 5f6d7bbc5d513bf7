//! Tables with columns of types, as the tests write and read them.

use std::{fs::File, path::Path, sync::Arc};

use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, types::Int32Type,
};
use arrow_ipc::{reader::FileReader, writer::FileWriter};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::number;

/// Columns of every type, with missing cells.
pub(super) fn typed_table(seed: u64) -> RecordBatch {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows = 60;
    let mut some = |share: f64| (0..rows).map(|_| random.random_bool(1.0 - share)).collect::<Vec<bool>>();
    let (a, b, c, d, e, f) = (some(0.2), some(0.2), some(0.2), some(0.2), some(0.2), some(0.2));
    let mut value = || number(&mut random);
    let doubles: Float64Array = a.iter().map(|there| there.then(&mut value)).collect();
    let singles: Float32Array = b.iter().map(|there| there.then(|| value() as f32)).collect();
    let whole: Int32Array = c.iter().enumerate().map(|(row, there)| there.then_some(row as i32 % 7)).collect();
    let truth: BooleanArray = d.iter().enumerate().map(|(row, there)| there.then_some(row % 3 == 0)).collect();
    let words: DictionaryArray<Int32Type> =
        e.iter().enumerate().map(|(row, there)| there.then_some(["red", "light, blue"][row % 2])).collect();
    let money: Decimal128Array = f.iter().enumerate().map(|(row, there)| there.then_some(row as i128 * 37)).collect();
    RecordBatch::try_from_iter([
        ("key", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| 9_007_199_254_740_993 + row))) as ArrayRef),
        ("day", Arc::new(Date32Array::from_iter_values((0..rows).map(|row| 19_000 + row as i32)))),
        ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("person {row}"))))),
        ("doubles", Arc::new(doubles)),
        ("singles", Arc::new(singles)),
        ("whole", Arc::new(whole)),
        ("truth", Arc::new(truth)),
        ("words", Arc::new(words)),
        ("money", Arc::new(money.with_precision_and_scale(9, 2).unwrap())),
        ("never", Arc::new(Float64Array::from(vec![None; rows as usize]))),
    ])
    .unwrap()
}

pub(super) fn write_typed(path: &Path, batch: &RecordBatch) {
    let file = File::create(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        // Two row groups.
        writer.write(&batch.slice(0, 25)).unwrap();
        writer.flush().unwrap();
        writer.write(&batch.slice(25, 35)).unwrap();
        writer.close().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        [batch.slice(0, 25), batch.slice(25, 0), batch.slice(25, 35)]
            .iter()
            .for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    }
}

pub(super) fn read_typed(path: &Path) -> RecordBatch {
    let file = File::open(path).unwrap();
    let batches: Vec<RecordBatch> = if path.extension().is_some_and(|extension| extension == "parquet") {
        ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
    } else {
        FileReader::try_new(file, None).unwrap().map(Result::unwrap).collect()
    };
    arrow_select::concat::concat_batches(&batches[0].schema(), &batches).unwrap()
}

pub(super) fn write_typed_parts(path: &Path, batch: &RecordBatch) {
    let parts = [batch.slice(0, 10), batch.slice(10, batch.num_rows() - 10)];
    let file = File::create(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "parquet") {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        for part in &parts {
            writer.write(part).unwrap();
            writer.flush().unwrap();
        }
        writer.close().unwrap();
    } else {
        let mut writer = FileWriter::try_new(file, &batch.schema()).unwrap();
        parts.iter().for_each(|part| writer.write(part).unwrap());
        writer.finish().unwrap();
    }
}
