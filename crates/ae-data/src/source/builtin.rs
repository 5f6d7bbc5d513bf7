//! The sets that are known by name: two compiled in, two fetched on first use.

use std::path::Path;

use super::format::{BuiltIn, Sets};
use crate::{DataError, Rows, idx};

/// Every built-in set, in the order in which they are listed to people.
pub const BUILTIN: &[BuiltIn] = &[
    BuiltIn {
        name: "digits",
        about: "handwritten digits, 8x8, 3,823 train / 1,797 test",
        licence: "UCI, CC BY 4.0 (Alpaydin and Kaynak 1998)",
        embedded: true,
    },
    BuiltIn {
        name: "fashion-mini",
        about: "clothes, 28x28, 2,500 train / 500 test: the first of each class of Fashion-MNIST",
        licence: "MIT (Zalando SE 2017)",
        embedded: true,
    },
    BuiltIn {
        name: "mnist",
        about: "handwritten digits, 28x28, 60,000 train / 10,000 test",
        licence: "CC BY-SA 3.0 (LeCun, Cortes and Burges 1998)",
        embedded: false,
    },
    BuiltIn {
        name: "fashion-mnist",
        about: "clothes, 28x28, 60,000 train / 10,000 test",
        licence: "MIT (Zalando SE 2017)",
        embedded: false,
    },
];

/// The four files of an embedded set.
macro_rules! embedded {
    ($folder:literal) => {
        embedded(
            $folder,
            [
                ("train-images-idx3-ubyte.gz", include_bytes!(concat!("../../data/", $folder, "/train-images-idx3-ubyte.gz"))),
                ("train-labels-idx1-ubyte.gz", include_bytes!(concat!("../../data/", $folder, "/train-labels-idx1-ubyte.gz"))),
                ("t10k-images-idx3-ubyte.gz", include_bytes!(concat!("../../data/", $folder, "/t10k-images-idx3-ubyte.gz"))),
                ("t10k-labels-idx1-ubyte.gz", include_bytes!(concat!("../../data/", $folder, "/t10k-labels-idx1-ubyte.gz"))),
            ],
        )
    };
}

/// The set of this name; none if no set has it.
pub(super) fn open(name: &str) -> Option<Result<Sets, DataError>> {
    Some(match name {
        "digits" => embedded!("digits"),
        "fashion-mini" => embedded!("fashion-mini"),
        "mnist" => fetched(name, "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        "fashion-mnist" => fetched(name, "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
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
    Ok(Sets { name: name.to_string(), train: part(train_images, train_labels)?, test: Some(part(test_images, test_labels)?) })
}

#[cfg(not(feature = "download"))]
fn fetched(name: &str, _base: &str) -> Result<Sets, DataError> {
    Err(DataError::Download { name: name.to_string(), reason: "this build has no `download` feature".to_string() })
}

#[cfg(feature = "download")]
use download::fetched;

#[cfg(feature = "download")]
mod download {
    use std::{
        fs,
        io::{Read, Write},
        path::Path,
        time::Duration,
    };

    use ureq::Agent;

    use super::super::idx_files;
    use crate::{DataError, Options, Sets, idx, limit::Limit, progress::Progress};

    const FILES: [&str; 4] =
        ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"];

    /// Bytes of the largest file that is fetched, and some more.
    const LARGEST: u64 = 64 << 20;
    /// Bytes between two looks at the clock.
    const PIECE: u64 = 1 << 16;

    /// The set from the user's cache folder, where what is missing is fetched first.
    pub(super) fn fetched(name: &str, base: &str) -> Result<Sets, DataError> {
        let failed = |reason: String| DataError::Download { name: name.to_string(), reason };
        let cache = dirs::cache_dir().ok_or_else(|| failed("there is no cache folder for this user".to_string()))?;
        let folder = cache.join("autoencoders").join(name);
        fs::create_dir_all(&folder).map_err(|error| failed(format!("cannot create {}: {error}", folder.display())))?;
        for file in FILES {
            if !folder.join(file).is_file() {
                fetch(&format!("{base}{file}"), &folder, file).map_err(failed)?;
            }
        }
        let mut sets = idx_files::folder(&folder, Limit::of(&Options::default()))?;
        sets.name = name.to_string();
        Ok(sets)
    }

    /// Fetches one file, and keeps it only if it reads as IDX from end to end.
    ///
    /// Not by Burn's downloader, which panics where there is no network, and whose HTTP client is an eighth of the time to build everything.
    fn fetch(url: &str, folder: &Path, file: &str) -> Result<(), String> {
        let patience = Some(Duration::from_secs(30));
        let agent: Agent = Agent::config_builder().timeout_connect(patience).timeout_recv_response(patience).build().into();
        let answer = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
        let mut progress = Progress::new("fetching bytes", answer.body().content_length().map_or(0, |length| length as usize));
        let (mut body, mut bytes) = (answer.into_body().into_with_config().limit(LARGEST).reader(), Vec::new());
        while body.by_ref().take(PIECE).read_to_end(&mut bytes).map_err(|error| format!("{url}: {error}"))? > 0 {
            progress.steps(PIECE as usize);
        }
        idx::parse(bytes.as_slice(), Path::new(file), None).map_err(|error| format!("{url} sent something else: {error}"))?;
        let mut partial = tempfile::NamedTempFile::new_in(folder).map_err(|error| error.to_string())?;
        partial.write_all(&bytes).map_err(|error| error.to_string())?;
        partial.persist(folder.join(file)).map(|_| ()).map_err(|error| error.to_string())
    }

    #[cfg(test)]
    mod tests {
        use std::{
            io::{BufRead, BufReader, Write},
            net::TcpListener,
            thread,
        };

        use super::fetch;

        /// A server that gives one answer, and its address.
        fn server(status: &str, body: &[u8]) -> String {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let answer = [format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                lines.map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
                stream.write_all(&answer).unwrap();
            });
            format!("http://{address}/labels")
        }

        #[test]
        fn a_file_is_kept_if_it_came_whole_and_nothing_else_is() {
            let folder = tempfile::tempdir().unwrap();
            let labels = [0, 0, 8, 1, 0, 0, 0, 2, 7, 9]; // two of them
            fetch(&server("200 OK", &labels), folder.path(), "labels").unwrap();
            assert_eq!(std::fs::read(folder.path().join("labels")).unwrap(), labels);
            for (status, body, reason) in
                [("404 Not Found", &labels[..], "404"), ("200 OK", &labels[..9], "truncated"), ("200 OK", b"<html>", "something else")]
            {
                let error = fetch(&server(status, body), folder.path(), "other").unwrap_err();
                assert!(error.contains(reason) && !error.contains('\n'), "{error}");
            }
            let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let error = fetch(&format!("http://{closed}/labels"), folder.path(), "other").unwrap_err();
            assert!(error.contains(&closed.to_string()) && !error.contains('\n'), "{error}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
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
        // The first test digit, as scikit-learn's load_digits prints its first row.
        assert_eq!(test.row(0).unwrap()[..8], [0.0, 0.0, 5.0, 13.0, 9.0, 1.0, 0.0, 0.0]);
        assert_eq!(test.labels.unwrap()[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(Some));
        let fashion = source::open("fashion-mini").unwrap();
        assert_eq!((fashion.train.len(), fashion.test.unwrap().len(), fashion.train.width()), (2500, 500, 784));
        let labels = fashion.train.labels.unwrap();
        assert!((0..10).all(|class| labels.iter().filter(|&&label| label == Some(class)).count() == 250));
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = source::open("mnits").unwrap_err();
        assert!(error.is_usage() && error.to_string().contains("digits, fashion-mini, mnist, fashion-mnist"), "{error}");
    }
}
