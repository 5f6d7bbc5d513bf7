//! Burn's `DataLoader` over a [`Dataset`]. The order of epoch `n` depends only on the seed and on `n`.
//!
//! Burn's own loader draws the orders of all epochs from one running generator, so that a resumed run would see other
//! batches than an uninterrupted one. Here the order of an epoch is known without running the epochs before it. Each
//! batch has a [seed](Batch::seed) for noise and dropout, which depends only on the seed, on `n` and on the position of
//! the batch.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use burn::{
    data::{
        dataloader::{DataLoader, DataLoaderIterator, Progress},
        dataset::{Dataset as _, DatasetError},
    },
    tensor::Device,
};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{
    Batch, Batcher, Dataset,
    ahead::{Ahead, Window},
    sharing::Reader,
    store::Store,
};

/// The order of the examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As in the dataset.
    Sequential,
    /// Shuffled in each epoch.
    Shuffled {
        /// Seed of the orders of all epochs.
        seed: u64,
    },
}

/// Batches of a dataset, epoch after epoch.
///
/// ```
/// use ae_data::{Batcher, Dataset, Loader, Order, Rows, Scaling, Values};
/// use burn::{data::dataloader::DataLoader, tensor::Device};
///
/// let dataset = Dataset::new(Rows::new(Values::U8((0..10).collect()), 1));
/// let batcher = Batcher::new(Scaling::identity());
/// let loader = Loader::new(dataset, batcher, 4, Order::Shuffled { seed: 1 }, Device::default());
/// let sizes: Vec<usize> = loader.iter().map(|batch| batch.map(|batch| batch.rows.len())).collect::<Result<_, _>>()?;
/// assert_eq!(sizes, [4, 4, 2]); // one epoch
/// # Ok::<(), burn::data::dataset::DatasetError>(())
/// ```
#[derive(Clone)]
pub struct Loader {
    dataset: Dataset,
    batcher: Batcher,
    batch_size: usize,
    order: Order,
    /// Rows of an epoch, if it is not one pass over all of them.
    epoch_rows: Option<usize>,
    /// With whom it shares its batches.
    reader: Option<Arc<Reader>>,
    /// Which part of each batch it gives, and of how many.
    part: (usize, usize),
    device: Device,
    /// Number of epochs begun, shared with the copies that `to_device` makes: Burn asks for one iterator per epoch.
    epochs: Arc<AtomicUsize>,
    /// Number of batches to skip at the start of the next epoch.
    skipped: Arc<AtomicUsize>,
}

impl Loader {
    /// Batches of `batch_size` examples on `device`; the last one of an epoch may be smaller.
    ///
    /// # Panics
    /// If `batch_size` is 0.
    pub fn new(dataset: Dataset, batcher: Batcher, batch_size: usize, order: Order, device: Device) -> Self {
        assert!(batch_size > 0, "a batch has at least one example");
        let (epochs, skipped) = (Arc::default(), Arc::default());
        let (epoch_rows, reader, part) = (None, None, (0, 1));
        Self { dataset, batcher, batch_size, order, epoch_rows, reader, part, device, epochs, skipped }
    }

    /// Sets that an epoch has `rows` examples instead of one pass over all of them: one pass after another is cut into
    /// epochs.
    ///
    /// # Panics
    /// If `rows` is 0, or there are no examples.
    pub fn with_epoch_rows(mut self, rows: impl Into<Option<usize>>) -> Self {
        self.epoch_rows = rows.into();
        assert!(self.epoch_rows.is_none_or(|rows| rows > 0 && self.dataset.len() > 0), "an epoch has examples");
        self
    }

    /// Sets that it shares its batches with other loaders, which must go over the same rows in the same order.
    pub fn sharing(mut self, reader: impl Into<Option<Arc<Reader>>>) -> Self {
        self.reader = reader.into();
        self
    }

    /// Sets that it gives only part `part` (from 0) of `of` parts of each batch, for a training in several processes:
    /// the parts of all of them are the batch, and each has as many batches. A part of a batch with fewer rows than
    /// parts can be empty: it has one row, and [`is_spare`](Batch::is_spare).
    ///
    /// # Panics
    /// If there is no such part.
    pub fn with_part(mut self, part: usize, of: usize) -> Self {
        assert!(part < of, "there are {of} parts");
        self.part = (part, of);
        self
    }

    /// The loader as it is after `epochs` whole epochs and `batches` batches: the next iterator gives the remaining
    /// batches of epoch `epochs + 1`.
    pub fn after(self, epochs: usize, batches: usize) -> Self {
        self.epochs.store(epochs, Ordering::Relaxed);
        self.skipped.store(batches, Ordering::Relaxed);
        self
    }

    /// Number of batches in an epoch.
    pub fn batches(&self) -> usize {
        self.rows().div_ceil(self.batch_size)
    }

    /// Number of examples in an epoch.
    fn rows(&self) -> usize {
        self.epoch_rows.unwrap_or(self.dataset.len())
    }

    /// Row indices in the order of epoch `epoch` (from 0), and the windows in it.
    fn indices(&self, epoch: usize) -> (Vec<usize>, Vec<Window>) {
        let Some(rows) = self.epoch_rows else { return self.pass(epoch) };
        let (all, mut start) = (self.dataset.len(), epoch * rows);
        let end = start + rows;
        let (mut indices, mut windows) = (Vec::with_capacity(rows), Vec::new());
        while start < end {
            let (pass, at) = (start / all, start % all);
            let taken = (end - start).min(all - at);
            let (order, within) = self.pass(pass);
            let moved =
                |window: Window| Some(Window { start: window.start.checked_sub(at)? + indices.len(), ..window });
            windows.extend(within.into_iter().filter(|window| window.start < at + taken).filter_map(moved));
            indices.extend_from_slice(&order[at..at + taken]);
            start += taken;
        }
        (indices, windows)
    }

    /// Row indices in the order of a pass over all of them (from 0), and the windows in it.
    fn pass(&self, pass: usize) -> (Vec<usize>, Vec<Window>) {
        let mut indices = self.dataset.indices().to_vec();
        if let Order::Shuffled { seed } = self.order {
            let mut generator = self.generator(seed, pass);
            match self.dataset.rows().store() {
                None => indices.shuffle(&mut generator),
                Some(store) => {
                    let window = self.dataset.rows().window(store);
                    return shuffled_by_blocks(&indices, store, window, &mut generator);
                }
            }
        }
        (indices, Vec::new())
    }

    /// The random number generator of an epoch: independent streams of one seed.
    fn generator(&self, seed: u64, epoch: usize) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(epoch as u64);
        generator
    }
}

/// An order for rows that stay in their file, in which each block is read once: the blocks are shuffled, and then the
/// rows of `window` blocks, as many as fit in the cache, are shuffled together.
fn shuffled_by_blocks(
    indices: &[usize],
    store: &Store,
    window: usize,
    generator: &mut ChaCha8Rng,
) -> (Vec<usize>, Vec<Window>) {
    let mut blocks: Vec<&[usize]> = indices.chunk_by(|&a, &b| store.block_of(a) == store.block_of(b)).collect();
    blocks.shuffle(generator);
    let (mut order, mut windows) = (Vec::with_capacity(indices.len()), Vec::new());
    for window in blocks.chunks(window) {
        let start = order.len();
        window.iter().for_each(|block| order.extend_from_slice(block));
        order[start..].shuffle(generator);
        windows.push(Window { start, rows: window.iter().map(|block| block[0]).collect() });
    }
    (order, windows)
}

impl DataLoader<Batch> for Loader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.epochs.fetch_add(1, Ordering::Relaxed);
        let seed = match self.order {
            Order::Shuffled { seed } => self.generator(seed, epoch).random(),
            Order::Sequential => 0,
        };
        let (indices, windows) = self.indices(epoch);
        let skipped = self.skipped.swap(0, Ordering::Relaxed).saturating_mul(self.batch_size);
        let ahead = (!windows.is_empty()).then(|| Ahead::new(self.dataset.clone(), windows));
        Box::new(Epoch { loader: self, epoch, position: skipped.min(indices.len()), indices, seed, ahead })
    }

    fn num_items(&self) -> usize {
        self.rows()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self { device: device.clone(), ..self.clone() })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let dataset = self.dataset.select(self.dataset.indices()[start..end].to_vec());
        Arc::new(Self { dataset, ..self.clone() })
    }
}

/// The batches of one epoch.
struct Epoch<'a> {
    loader: &'a Loader,
    epoch: usize,
    indices: Vec<usize>,
    position: usize,
    seed: u64,
    /// Reads ahead in files.
    ahead: Option<Ahead>,
}

impl Iterator for Epoch<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.indices[self.position..];
        if rest.is_empty() {
            return None;
        }
        let whole = &rest[..rest.len().min(self.loader.batch_size)];
        let (part, of) = self.loader.part;
        let [start, end] = [part, part + 1].map(|part| (whole.len() * part).div_ceil(of));
        let is_spare = start == end;
        let chosen = if is_spare { &whole[..1] } else { &whole[start..end] };
        if let Some(ahead) = &mut self.ahead {
            ahead.reach(self.position);
        }
        let position = (self.position / self.loader.batch_size) as u64;
        // The parts of a batch have noise of their own.
        let seed = Some(self.seed.wrapping_add(position).wrapping_add((part as u64) << 40));
        let gather = || self.loader.batcher.gather(self.loader.dataset.rows(), chosen, &self.loader.device);
        let batch = match &self.loader.reader {
            Some(reader) => reader.batch((self.epoch, self.position), gather),
            None => gather(),
        };
        self.position += whole.len();
        let is_last = self.position == self.indices.len();
        Some(batch.map(|batch| Batch { is_last, is_spare, seed, ..batch }).map_err(DatasetError::new))
    }
}

impl DataLoaderIterator<Batch> for Epoch<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.position, self.indices.len(), Some("examples".to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rows, Scaling, Values};

    fn loader(order: Order) -> Loader {
        let dataset = Dataset::new(Rows::new(Values::U8((0..10).collect()), 1));
        Loader::new(dataset, Batcher::new(Scaling::identity()), 4, order, Device::default())
    }

    fn epoch(loader: &dyn DataLoader<Batch>) -> Vec<usize> {
        loader.iter().flat_map(|batch| batch.unwrap().rows).collect()
    }

    #[test]
    fn an_epoch_has_every_row_once() {
        let loader = loader(Order::Sequential);
        let sizes: Vec<_> = loader.iter().map(|batch| batch.unwrap().rows.len()).collect();
        assert_eq!((sizes, loader.batches()), (vec![4, 4, 2], 3));
        let last: Vec<_> = loader.iter().map(|batch| batch.unwrap().is_last).collect();
        assert_eq!(last, [false, false, true]);
        assert_eq!(epoch(&loader), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn epochs_of_fewer_or_more_rows_cut_one_pass_after_another() {
        let passes = {
            let whole = loader(Order::Shuffled { seed: 5 });
            [epoch(&whole), epoch(&whole), epoch(&whole)].concat()
        };
        for rows in [3, 7, 10, 14] {
            let cut = loader(Order::Shuffled { seed: 5 }).with_epoch_rows(rows);
            assert_eq!((cut.batches(), cut.num_items()), (rows.div_ceil(4), rows));
            let found: Vec<usize> = (0..30 / rows).flat_map(|_| epoch(&cut)).collect();
            assert_eq!(found, passes[..found.len()]);
            let later = loader(Order::Shuffled { seed: 5 }).with_epoch_rows(rows).after(1, 0);
            assert_eq!(epoch(&later), passes[rows..2 * rows]);
        }
    }

    #[test]
    fn the_parts_of_a_batch_are_the_batch() {
        let batches = |loader: &Loader| loader.iter().map(|batch| batch.unwrap()).collect::<Vec<_>>();
        for (size, of) in [(4, 2), (4, 3), (10, 3), (3, 5), (4, 1)] {
            let of_size = || {
                let dataset = Dataset::new(Rows::new(Values::U8((0..10).collect()), 1));
                let order = Order::Shuffled { seed: 5 };
                Loader::new(dataset, Batcher::new(Scaling::identity()), size, order, Device::default())
            };
            let whole = batches(&of_size());
            let parts: Vec<Vec<Batch>> = (0..of).map(|part| batches(&of_size().with_part(part, of))).collect();
            for (at, batch) in whole.iter().enumerate() {
                assert!(parts.iter().all(|part| part.len() == whole.len() && part[at].is_last == batch.is_last));
                let rows: Vec<usize> =
                    parts.iter().filter(|part| !part[at].is_spare).flat_map(|part| part[at].rows.clone()).collect();
                assert_eq!(rows, batch.rows);
                assert!(!parts[0][at].is_spare && parts.iter().all(|part| !part[at].rows.is_empty()));
            }
            assert_eq!(
                parts[0].iter().map(|batch| batch.seed).collect::<Vec<_>>(),
                whole.iter().map(|batch| batch.seed).collect::<Vec<_>>()
            );
            assert!(of == 1 || parts[1][0].seed != parts[0][0].seed);
        }
    }

    #[test]
    fn a_resumed_loader_continues_with_the_same_orders() {
        let whole = loader(Order::Shuffled { seed: 5 });
        let epochs = [epoch(&whole), epoch(&whole), epoch(&whole)];
        assert_ne!(epochs[0], epochs[1]);
        let resumed = loader(Order::Shuffled { seed: 5 }).after(2, 0).to_device(&Device::default());
        assert_eq!(epoch(resumed.as_ref()), epochs[2]);
        // Also in the middle of an epoch, with the same seeds; the next epoch is whole again.
        let seeds = |loader: &Loader| loader.iter().map(|batch| batch.unwrap().seed).collect::<Vec<_>>();
        let (whole, resumed) =
            (loader(Order::Shuffled { seed: 5 }).after(1, 0), loader(Order::Shuffled { seed: 5 }).after(1, 2));
        let all = seeds(&whole);
        assert!(all[0] != all[1] && all[1] != all[2]);
        assert_eq!((seeds(&resumed), epoch(&resumed)), (all[2..].to_vec(), epochs[2].clone()));
        assert_eq!(epoch(&loader(Order::Shuffled { seed: 5 }).after(1, 2)), epochs[1][8..]);
    }

    /// Twelve blocks of four rows; the number of cells per row decides how many are cached.
    #[derive(Debug)]
    struct Twelve(Vec<usize>);

    impl crate::store::Blocks for Twelve {
        fn starts(&self) -> &[usize] {
            &self.0
        }

        fn element(&self) -> crate::Element {
            crate::Element::U8
        }

        fn read(&self, block: usize) -> Result<Values, crate::DataError> {
            Ok(Values::U8((0..4).map(|row| (block * 4 + row) as u8).collect()))
        }
    }

    #[test]
    fn rows_in_files_are_shuffled_among_cached_blocks() {
        let blocks = || Box::new(Twelve((0..=48).step_by(4).collect()));
        // Three blocks of 4 rows of 10 MB fit in the cache.
        let store = Store::new(blocks(), 10 << 20);
        assert_eq!(store.capacity(), 3);
        let all: Vec<usize> = (0..48).filter(|row| row % 5 != 0).collect();
        let order = shuffled_by_blocks(&all, &store, store.capacity(), &mut ChaCha8Rng::seed_from_u64(1)).0;
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, all);
        assert_ne!(order, all);
        let mut reads = 0;
        let mut kept: Vec<usize> = Vec::new();
        for row in order {
            if !kept.contains(&(row / 4)) {
                reads += 1;
                kept.push(row / 4);
                if kept.len() > store.capacity() {
                    kept.remove(0);
                }
            }
        }
        assert_eq!(reads, 12, "each block is read once");
        // The loader gives each row once, too.
        let dataset = Dataset::new(Rows::stored(Store::new(blocks(), 1), 1, false));
        let loader = Loader::new(
            dataset.clone(),
            Batcher::new(Scaling::identity()),
            5,
            Order::Shuffled { seed: 1 },
            Device::default(),
        );
        let mut seen: Vec<f32> =
            loader.iter().flat_map(|batch| batch.unwrap().x.into_data().iter::<f32>().collect::<Vec<_>>()).collect();
        seen.sort_by(f32::total_cmp);
        assert_eq!(seen, (0..48).map(|row| row as f32).collect::<Vec<_>>());
        assert_eq!((dataset.sample(10).indices().len(), dataset.sample(100).indices().len()), (10, 48));
    }
}
