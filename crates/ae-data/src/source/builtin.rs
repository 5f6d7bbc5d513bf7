//! The built-in data sets: two are compiled in, two are downloaded on first use.

use std::path::Path;

use super::sets::{BuiltIn, Sets};
use crate::{DataError, Rows, idx};

/// All built-in data sets, in the order in which they are listed.
pub const BUILTIN: &[BuiltIn] = &[
    BuiltIn {
        name: "digits",
        about: "handwritten digits, 8x8, 3,823 train / 1,797 test",
        license: "UCI, CC BY 4.0 (Alpaydin and Kaynak 1998)",
        embedded: true,
    },
    BuiltIn {
        name: "fashion-mini",
        about: "clothes, 28x28, 2,500 train / 500 test: the first of each class of Fashion-MNIST",
        license: "MIT (Zalando SE 2017)",
        embedded: true,
    },
    BuiltIn {
        name: "mnist",
        about: "handwritten digits, 28x28, 60,000 train / 10,000 test",
        license: "CC BY-SA 3.0 (LeCun, Cortes and Burges 1998)",
        embedded: false,
    },
    BuiltIn {
        name: "fashion-mnist",
        about: "clothes, 28x28, 60,000 train / 10,000 test",
        license: "MIT (Zalando SE 2017)",
        embedded: false,
    },
];

/// The four files of an embedded set.
macro_rules! embedded {
    ($folder:literal) => {
        embedded(
            $folder,
            [
                (
                    "train-images-idx3-ubyte.gz",
                    include_bytes!(concat!("../../data/", $folder, "/train-images-idx3-ubyte.gz")),
                ),
                (
                    "train-labels-idx1-ubyte.gz",
                    include_bytes!(concat!("../../data/", $folder, "/train-labels-idx1-ubyte.gz")),
                ),
                (
                    "t10k-images-idx3-ubyte.gz",
                    include_bytes!(concat!("../../data/", $folder, "/t10k-images-idx3-ubyte.gz")),
                ),
                (
                    "t10k-labels-idx1-ubyte.gz",
                    include_bytes!(concat!("../../data/", $folder, "/t10k-labels-idx1-ubyte.gz")),
                ),
            ],
        )
    };
}

/// Opens the data set of this name; `None` if there is none.
pub(super) fn open(name: &str) -> Option<Result<Sets, DataError>> {
    Some(match name {
        "digits" => embedded!("digits"),
        "fashion-mini" => embedded!("fashion-mini"),
        "mnist" => fetched(name, &MNIST),
        "fashion-mnist" => fetched(name, &FASHION_MNIST),
        _ => return None,
    })
}

fn embedded(name: &str, files: [(&str, &[u8]); 4]) -> Result<Sets, DataError> {
    let [train_images, train_labels, test_images, test_labels] = files;
    let part = |images: (&str, &[u8]), labels: (&str, &[u8])| -> Result<Rows, DataError> {
        let labels_path = Path::new(labels.0);
        let labels = idx::parse(labels.1, labels_path, None)?;
        idx::rows(idx::parse(images.1, Path::new(images.0), None)?, Path::new(images.0), Some((labels, labels_path)))
    };
    Ok(Sets {
        name: name.to_string(),
        train: part(train_images, train_labels)?,
        test: Some(part(test_images, test_labels)?),
    })
}

/// Where a data set is downloaded from, and the SHA-256 digests of its files.
#[cfg_attr(not(feature = "download"), allow(dead_code, reason = "nothing is downloaded"))]
struct Published {
    base: &'static str,
    digests: [(&'static str, &'static str); 4],
}

const MNIST: Published = Published {
    base: "https://storage.googleapis.com/cvdf-datasets/mnist/",
    digests: [
        ("train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        ("train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        ("t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        ("t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ],
};

const FASHION_MNIST: Published = Published {
    base: "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    digests: [
        ("train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ],
};

#[cfg(not(feature = "download"))]
fn fetched(name: &str, _set: &Published) -> Result<Sets, DataError> {
    Err(DataError::Download {
        name: name.to_string(),
        reason: "this program was built without the `download` feature".to_string(),
    })
}

#[cfg(feature = "download")]
use download::fetched;

#[cfg(feature = "download")]
mod download {
    use std::{fs, io::Read, path::Path, time::Duration};

    use sha2::{Digest as _, Sha256};
    use ureq::Agent;

    use super::{super::idx_files, Published};
    use crate::{DataError, Options, Sets, limit::Limit, place::write_bytes, progress::Progress};

    /// Maximum size of a file in bytes, larger than all published ones.
    const LARGEST: u64 = 64 << 20;
    /// Bytes that are read between two reports of progress.
    const PIECE: u64 = 1 << 16;

    /// Timeouts of a download.
    struct Patience {
        /// For the connection, the response, and each read.
        stall: Duration,
        /// For a whole file.
        file: Duration,
    }

    const PATIENCE: Patience = Patience { stall: Duration::from_secs(30), file: Duration::from_secs(1800) };

    /// Reads the data set from the cache folder of the user. Missing and damaged files are downloaded first.
    pub(super) fn fetched(name: &str, set: &Published) -> Result<Sets, DataError> {
        let failed = |reason: String| DataError::Download { name: name.to_string(), reason };
        let cache = dirs::cache_dir().ok_or_else(|| failed("this user has no cache folder".to_string()))?;
        let folder = cache.join("autoencoders").join(name);
        fs::create_dir_all(&folder).map_err(|error| failed(format!("cannot create {}: {error}", folder.display())))?;
        let notes = fill(&folder, set.base, &set.digests, &agent(&PATIENCE, true)).map_err(failed)?;
        let mut sets = idx_files::folder(&folder, Limit::of(&Options::default()))?;
        sets.name = name.to_string();
        sets.train.notes.extend(notes);
        Ok(sets)
    }

    fn agent(patience: &Patience, https_only: bool) -> Agent {
        let Patience { stall, file } = patience;
        let config = Agent::config_builder()
            .https_only(https_only)
            .timeout_connect(Some(*stall))
            .timeout_recv_response(Some(*stall));
        config.timeout_per_read(Some(*stall)).timeout_recv_body(Some(*file)).build().into()
    }

    /// Downloads the files that are missing in `folder` or differ from the published ones. Returns notes.
    fn fill(folder: &Path, base: &str, digests: &[(&str, &str)], agent: &Agent) -> Result<Vec<String>, String> {
        let mut notes = Vec::new();
        for (file, digest) in digests {
            let path = folder.join(file);
            let there = path.is_file();
            if there && fs::read(&path).is_ok_and(|bytes| sha256(&bytes) == *digest) {
                continue;
            }
            let damaged = format!("{} differs from the published file", path.display());
            fetch(&format!("{base}{file}"), &path, digest, agent)
                .map_err(|error| if there { format!("{damaged}, and {error}") } else { error })?;
            notes.extend(there.then(|| format!("{damaged}: it was downloaded again")));
        }
        Ok(notes)
    }

    /// Downloads one file and keeps it only if its digest is the published one. Until it is complete it has a temporary
    /// name.
    ///
    /// Burn's downloader is not used, because it panics without a network, and building its HTTP client takes an eighth
    /// of the time of the whole build.
    fn fetch(url: &str, path: &Path, digest: &str, agent: &Agent) -> Result<(), String> {
        let answer = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
        let mut progress =
            Progress::new("downloading bytes", answer.body().content_length().map_or(0, |length| length as usize));
        let (mut body, mut bytes) = (answer.into_body().into_with_config().limit(LARGEST).reader(), Vec::new());
        while body.by_ref().take(PIECE).read_to_end(&mut bytes).map_err(|error| format!("{url}: {error}"))? > 0 {
            progress.steps(PIECE as usize);
        }
        let found = sha256(&bytes);
        if found != digest {
            return Err(format!(
                "{url} sent another file: {} bytes with SHA-256 {found} instead of {digest}",
                bytes.len()
            ));
        }
        write_bytes(path, &bytes).map_err(|error| error.to_string())
    }

    fn sha256(bytes: &[u8]) -> String {
        Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[cfg(test)]
    mod tests {
        use std::{
            io::{BufRead, BufReader, Write},
            net::TcpListener,
            path::PathBuf,
            thread,
            time::Instant,
        };

        use super::*;

        /// Starts a server that sends one response in pieces, with a pause after each. Returns its address.
        fn server(status: &str, length: usize, pieces: Vec<Vec<u8>>, pause: Duration) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n");
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
                stream.write_all(head.as_bytes()).unwrap();
                for piece in pieces {
                    // The client may have timed out and closed the connection.
                    if stream.write_all(&piece).and_then(|()| stream.flush()).is_err() {
                        return;
                    }
                    thread::sleep(pause);
                }
            });
            format!("http://{address}/")
        }

        fn at_once(status: &str, body: &[u8]) -> String {
            server(status, body.len(), vec![body.to_vec()], Duration::ZERO)
        }

        /// An agent with short timeouts for plain HTTP, only for tests.
        fn impatient() -> Agent {
            agent(&Patience { stall: Duration::from_millis(400), file: Duration::from_millis(1000) }, false)
        }

        fn files(folder: &Path) -> Vec<PathBuf> {
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
        }

        #[test]
        fn only_the_published_file_is_kept() {
            let folder = tempfile::tempdir().unwrap();
            let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9]; // two of them
            let digest = sha256(&labels);
            let fill = |base: &str| fill(folder.path(), base, &[("labels", &digest)], &impatient());
            let closed = format!("http://{}/", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
            for (base, reason) in [
                (at_once("404 Not Found", &labels), "404"),
                (at_once("200 OK", &labels[..9]), "sent another file: 9 bytes with SHA-256 "),
                (at_once("200 OK", b"<html>"), "sent another file"),
                // The connection ends before the file is complete.
                (server("200 OK", 10, vec![labels[..9].to_vec()], Duration::ZERO), "127.0.0.1"),
                (closed.clone(), closed.as_str()),
            ] {
                let error = fill(&base).unwrap_err();
                assert!(error.contains(reason) && !error.contains('\n'), "{reason}: {error}");
                assert!(files(folder.path()).is_empty(), "{reason}");
            }
            assert!(fill(&at_once("200 OK", &labels)).unwrap().is_empty());
            assert_eq!(
                (files(folder.path()).len(), fs::read(folder.path().join("labels")).unwrap()),
                (1, labels.to_vec())
            );
            // The file is in the cache: nothing is downloaded.
            assert!(fill(&closed).unwrap().is_empty());
        }

        #[test]
        fn a_damaged_file_is_downloaded_again() {
            let folder = tempfile::tempdir().unwrap();
            let (labels, path) = ([0, 0, 8, 1, 0, 0, 0, 2, 7, 9], folder.path().join("labels"));
            fs::write(&path, &labels[..8]).unwrap();
            let digest = sha256(&labels);
            let fill = |base: &str| fill(folder.path(), base, &[("labels", &digest)], &impatient());
            let error = fill(&at_once("500 Internal Server Error", b"")).unwrap_err();
            assert!(error.contains("labels differs from the published file, and ") && error.contains("500"), "{error}");
            let notes = fill(&at_once("200 OK", &labels)).unwrap();
            assert!(
                notes.len() == 1
                    && notes[0].ends_with("labels differs from the published file: it was downloaded again"),
                "{notes:?}"
            );
            assert_eq!((files(folder.path()).len(), fs::read(path).unwrap()), (1, labels.to_vec()));
        }

        #[test]
        fn a_slow_server_times_out() {
            let folder = tempfile::tempdir().unwrap();
            let piece = |size: usize| vec![7; size];
            for (pieces, pause) in [
                // A server that stops in the middle, and one that sends very slowly.
                (vec![piece(5), piece(5)], Duration::from_secs(20)),
                (vec![piece(1); 200], Duration::from_millis(100)),
            ] {
                let began = Instant::now();
                let base = server("200 OK", 200, pieces, pause);
                let error = fill(folder.path(), &base, &[("labels", "")], &impatient()).unwrap_err();
                assert!(error.contains("timeout") && !error.contains('\n'), "{error}");
                assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
                assert!(files(folder.path()).is_empty());
            }
        }

        #[test]
        fn nothing_is_downloaded_over_plain_http() {
            for set in [super::super::MNIST, super::super::FASHION_MNIST] {
                assert!(set.base.starts_with("https://") && set.digests.iter().all(|(_, digest)| digest.len() == 64));
            }
            let folder = tempfile::tempdir().unwrap();
            let error =
                fill(folder.path(), &at_once("200 OK", b"x"), &[("labels", "")], &agent(&PATIENCE, true)).unwrap_err();
            assert!(error.contains("https"), "{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::source;

    #[test]
    fn the_embedded_sets_are_the_published_ones() {
        let digits = source::open("digits").unwrap();
        let test = digits.test.unwrap();
        assert_eq!((digits.train.len(), test.len(), test.width()), (3823, 1797, 64));
        assert_eq!(test.geometry.unwrap().to_string(), "1x8x8");
        // The first row of the first test digit, equal to that of load_digits in scikit-learn.
        assert_eq!(test.row(0).unwrap()[..8], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
        assert_eq!(test.labels.unwrap()[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(Some));
        let fashion = source::open("fashion-mini").unwrap();
        assert_eq!((fashion.train.len(), fashion.test.unwrap().len(), fashion.train.width()), (2500, 500, 784));
        let labels = fashion.train.labels.unwrap();
        assert!((0..10).all(|class| labels.iter().filter(|&&label| label == Some(class)).count() == 250));
    }

    #[test]
    fn an_unknown_name_lists_the_known_names() {
        let error = source::open("mnits").unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains("digits, fashion-mini, mnist, fashion-mnist"),
            "{error}"
        );
    }
}
