//! Tables as Arrow record batches, read part by part. Each part can be read several times.
//!
//! Every column keeps the type of its source; in a text file every column is text. What a column means is decided by
//! the survey and not here, so that a column that is not learned from comes out unchanged.

mod carried;
mod categories;
mod in_memory;
mod interface;
mod joined;
mod remembered;
mod types;

pub use self::{
    carried::Carried,
    in_memory::InMemory,
    interface::{CountedIndex, Layout, ReplaceText, Table, differences, names, parts, rows},
    types::texts,
};
pub(crate) use self::{
    categories::{has_one_order, without_order},
    interface::{arrow_problem, starts, unique_names, whole_part},
    joined::Joined,
    remembered::Remembered,
    types::{is_number, is_string},
};

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch};

    use super::*;

    fn table(name: &str, keys: Vec<i64>) -> Arc<dyn Table> {
        let values =
            Float64Array::from(keys.iter().map(|&key| Some(key as f64).filter(|_| key % 3 != 0)).collect::<Vec<_>>());
        let batch = RecordBatch::try_from_iter([
            ("key", Arc::new(Int64Array::from(keys)) as ArrayRef),
            ("value", Arc::new(values) as ArrayRef),
        ]);
        let batch = batch.unwrap();
        Arc::new(InMemory::new(Path::new(name), batch.schema(), vec![batch]).unwrap())
    }

    #[test]
    fn carried_columns_are_taken_by_row_and_keep_every_digit() {
        let big = 9_007_199_254_740_993;
        let joined = Joined::new(vec![table("a", vec![big, 2]), table("b", vec![3, 4])]).unwrap();
        assert_eq!(joined.starts(), [0, 2, 4]);
        assert_eq!(joined.place(3), "row 2 of b");
        let carried = Carried::new(Arc::new(joined), Some(0), None, vec![1]);
        let texts = carried.texts(&[0, 3, 1], 0).unwrap();
        assert_eq!(texts, ["9007199254740993", "4", "2"].map(|text| Some(text.to_string())));
        assert_eq!(carried.texts(&[1, 2], 1).unwrap(), [Some("2".to_string()), None]);
    }

    #[test]
    fn only_tables_with_the_same_columns_are_joined() {
        let other =
            InMemory::texts(Path::new("c.csv"), vec![("key", vec![Some("x".into())]), ("more", vec![None])]).unwrap();
        let error = Joined::new(vec![table("a", vec![1]), Arc::new(other)]).unwrap_err().to_string();
        assert!(
            error.contains("c.csv")
                && error.contains("lacks 1 of them (`value`)")
                && error.contains("has 1 more (`more`)"),
            "{error}"
        );
        let text =
            InMemory::texts(Path::new("d"), vec![("value", vec![Some("x".into())]), ("key", vec![Some("7".into())])])
                .unwrap();
        let error = Joined::new(vec![table("a", vec![1]), Arc::new(text)]).unwrap_err().to_string();
        assert!(error.contains("`key` has the type Utf8 here, but Int64"), "{error}");
        // Numbers of different types are joined if none of them is rounded.
        let reals = |key: f64| {
            let columns = [("key", key), ("value", 1.5)]
                .map(|(name, value)| (name, Arc::new(Float64Array::from(vec![value])) as ArrayRef));
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            Arc::new(InMemory::new(Path::new("r"), batch.schema(), vec![batch]).unwrap()) as Arc<dyn Table>
        };
        let joined = Joined::new(vec![table("a", vec![1]), reals(7.5)]).unwrap();
        assert_eq!(texts(joined.part(0, &[0]).unwrap().column(0), Path::new("a")).unwrap(), [Some("1".to_string())]);
        let joined = Joined::new(vec![table("a", vec![9_007_199_254_740_993]), reals(7.5)]).unwrap();
        assert!(joined.part(0, &[0]).unwrap_err().to_string().contains("cannot represent"));
    }
}
