//! Text tables as people and programs write them, and errors in them.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};

use super::{both, refused, train};

/// Text files from spreadsheets, pandas, R and instruments.
#[test]
fn text_files_of_many_programs_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let write = |name: &str, bytes: &[u8]| fs::write(here.join(name), bytes).unwrap();
    let rows = |line: &dyn Fn(usize) -> String| (0..40).map(line).collect::<String>();
    let described = |args: &[&str]| both(here, &[&["data"][..], args].concat());
    // The line of `ae data` for a column: name, kind, missing, smallest, mean, largest.
    let column = |out: &str, name: &str| {
        out.lines()
            .find(|line| line.split_whitespace().next() == Some(name))
            .unwrap_or_default()
            .split_whitespace()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let mean = |out: &str, name: &str| column(out, name)[4].parse::<f64>().unwrap();

    write("comma.csv", ("id;amount\n".to_string() + &rows(&|row| format!("r{row};{},25\n", row))).as_bytes());
    let (out, said) = described(&["comma.csv", "--id", "id"]);
    assert!((mean(&out, "amount") - 19.75).abs() < 1e-6 && said.contains("`0,25` is read as 0.25"), "{out}{said}");
    write(
        "marks.csv",
        ("share,income,price\n".to_string() + &rows(&|row| format!("{row}.5%,\"1,{:03}\",$2.50\n", row))).as_bytes(),
    );
    let (out, said) = described(&["marks.csv"]);
    assert!(
        mean(&out, "income") == 1019.5 && mean(&out, "share") == 20.0 && said.contains("`$2.50` is read as 2.5"),
        "{out}{said}"
    );
    write("unclear.tsv", ("a\tb\n".to_string() + &rows(&|row| format!("1,{:03}\t{row}\n", row))).as_bytes());
    refused(here, &["data", "unclear.tsv"], &["`a`", "`1,000`", "`--decimal ,`"]);
    let (out, _) = described(&["unclear.tsv", "--decimal", "."]);
    assert_eq!(mean(&out, "a"), 1019.5);
    let (out, _) = described(&["unclear.tsv", "--decimal", ","]);
    assert!((mean(&out, "a") - 1.0195).abs() < 1e-9, "{out}");

    let table = "größe,b\n".to_string() + &rows(&|row| format!("{row},{}.5\n", row % 7));
    let western: Vec<u8> = table.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect();
    write("latin.csv", &western);
    refused(here, &["data", "latin.csv"], &["latin.csv", "--encoding latin1"]);
    assert!(described(&["latin.csv", "--encoding", "latin1"]).0.contains("größe "));
    let utf16: Vec<u8> = table.encode_utf16().flat_map(u16::to_be_bytes).collect();
    write("wide.csv", &utf16);
    let (out, said) = described(&["wide.csv"]);
    assert!(out.contains("40 rows") && said.contains("read as UTF-16BE"), "{out}{said}");
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(table.as_bytes()).unwrap();
    write("t.csv.gz", &packer.finish().unwrap());
    assert!(described(&["t.csv.gz"]).0.contains("40 rows"));
    write("cr.csv", table.replace('\n', "\r").as_bytes());
    assert!(described(&["cr.csv"]).0.contains("40 rows"));

    write("sep.csv", ("sep=;\na;b\n".to_string() + &rows(&|row| format!("{row};{}\n", row % 3))).as_bytes());
    assert!(described(&["sep.csv"]).0.contains("40 rows\n2 features"));
    write("note.csv", ("# about\n# it\na,b\n".to_string() + &rows(&|row| format!("{row},{}\n", row % 3))).as_bytes());
    let (out, said) = described(&["note.csv"]);
    assert!(out.contains("40 rows") && said.contains("2 comment lines"), "{out}{said}");
    write("late.csv", ("a,b\n".to_string() + &rows(&|row| format!("{row},{}\n", row % 3)) + "# the end\n").as_bytes());
    refused(here, &["data", "late.csv"], &["line 42", "1 cell", "--comment '#'"]);
    assert!(described(&["late.csv", "--comment", "#"]).0.contains("40 rows"));
    write(
        "spaces.txt",
        ("  time  level\n".to_string() + &rows(&|row| format!("  {row:>4}   {:.2}\n", row as f64 / 3.0))).as_bytes(),
    );
    let (out, said) = described(&["spaces.txt"]);
    assert!(out.contains("40 rows\n2 features") && said.contains("separated by spaces"), "{out}{said}");
    write("trailing.csv", ("a,b\n".to_string() + &rows(&|row| format!("{row},{},\n", row % 3))).as_bytes());
    let (out, said) = described(&["trailing.csv"]);
    assert!(out.contains("2 features") && said.contains("ignored: a delimiter at the end of 40 lines"), "{out}{said}");
    write(
        "r.txt",
        ("\"a\" \"b\"\n".to_string() + &rows(&|row| format!("\"{}\" {row} {}\n", row + 1, row % 3))).as_bytes(),
    );
    let (out, said) = described(&["r.txt"]);
    assert!(out.contains("2 features") && said.contains("one cell more than the header"), "{out}{said}");
    write(
        "years.csv",
        ("region,2019,2020\n".to_string() + &rows(&|row| format!("{},{row}.5,{}\n", ["N", "S"][row % 2], row % 3)))
            .as_bytes(),
    );
    let (out, said) = described(&["years.csv"]);
    assert!(out.contains("40 rows") && said.contains("`--no-header`"), "{out}{said}");
    assert!(described(&["years.csv", "--no-header", "--drop", "c0"]).0.contains("41 rows"));
    write(
        "excel.csv",
        ("a,b\n".to_string() + &rows(&|row| format!("{row},{}\n", ["1.5", "#DIV/0!", "#N/A", "2"][row % 4])))
            .as_bytes(),
    );
    let (out, said) = described(&["excel.csv"]);
    assert!(column(&out, "b")[2] == "50.0%" && said.contains("10 x `#DIV/0!`"), "{out}{said}");
    write(
        "indexed.csv",
        (",a,b\n".to_string() + &rows(&|row| format!("{row},{}.5,{}\n", row % 7, row % 3))).as_bytes(),
    );
    let (out, said) = described(&["indexed.csv"]);
    assert!(out.contains("2 features") && said.contains("the column without a name counts the rows"), "{out}{said}");
    assert!(described(&["indexed.csv", "--keep", ",a"]).0.contains("2 features"), "the index and `a`");
    write("quoted.csv", ("a,b\n".to_string() + &rows(&|row| format!("\"x\ny\",{row}\n"))).as_bytes());
    assert!(described(&["quoted.csv"]).0.contains("40 rows"));

    // Kinds set by options, which later files are read with, too.
    write(
        "codes.csv",
        ("zip,flag,n\n".to_string() + &rows(&|row| format!("{},{},{row}.0\n", 10_000 + row % 5, row % 2))).as_bytes(),
    );
    let (out, _) = described(&["codes.csv", "--categorical", "zip", "--boolean", "flag"]);
    assert!(
        out.contains("zip     category") && out.contains("5 levels: 10000") && out.contains("flag    boolean"),
        "{out}"
    );
    train(here, "codes.csv", "codes", &["--categorical", "zip", "--boolean", "flag", "--integer", "n"]);
    let schema = fs::read_to_string(here.join("codes/data.toml")).unwrap();
    assert!(
        schema.contains("\"10000\", \"10001\"")
            && schema.contains("levels = [\"0\", \"1\"]")
            && schema.contains("integer = true"),
        "{schema}"
    );
    write("one.csv", b"n,flag,zip,more\n1,1,10003,x\n2.5,0,77777,y\n");
    let (out, said) = both(here, &["score", "codes", "--data", "one.csv"]);
    assert_eq!(out.lines().count(), 3);
    assert!(said.contains("`77777` in 1 cell (first in row 2)") && said.contains("carried along: `more`"), "{said}");
    let score = |line: usize| out.lines().nth(line).unwrap().split(',').next().unwrap().parse::<f64>().unwrap();
    assert!(score(2) > score(1), "an unseen level has a higher score: {out}");
    refused(here, &["score", "codes", "--data", "one.csv", "--unknown", "refuse"], &["row 2", "`zip`", "`77777`"]);

    // Files of unsupported types.
    write("book.xlsx", b"PK\x03\x04\0\0");
    refused(here, &["data", "book.xlsx"], &["book.xlsx", "a spreadsheet", "save its sheet as CSV"]);
    write("book.csv", b"PK\x03\x04\0\0");
    refused(here, &["data", "book.csv"], &["book.csv", "a spreadsheet", "CSV"]);
    for (name, what) in [
        ("cells.h5ad", "to_parquet"),
        ("model.pkl", "pickle"),
        ("rows.jsonl", "JSON"),
        ("x.mat", "MATLAB"),
        ("t.zip", "unpack"),
    ] {
        write(name, b"\0\x01\x02");
        refused(here, &["data", name], &[name, what]);
    }
}

/// Errors in text tables that are easily overlooked.
#[test]
fn hidden_errors_in_text_tables_are_refused_or_reported() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let rows = |line: &dyn Fn(usize) -> String| (0..60).map(line).collect::<String>();
    let write = |name: &str, text: &str| fs::write(here.join(name), text).unwrap();
    let x = |row: usize| format!("{}.{}", row * 7 % 31, row % 10);
    let described = |args: &[&str]| both(here, &[&["data"][..], args].concat());

    // Wrong quotes that hide rows.
    write(
        "inches.csv",
        &("a,b,size\n".to_string()
            + &rows(&|row| format!("{},1,{}\n", x(row), if [8, 31].contains(&row) { "\"3.5 in" } else { "disk" }))),
    );
    refused(here, &["data", "inches.csv"], &["lines 10 to 33", "opened in line 10", "double"]);
    write(
        "open.csv",
        &("a,b,c\n".to_string() + &rows(&|row| format!("{},1,{}\n", x(row), if row == 59 { "\"x" } else { "y" }))),
    );
    refused(here, &["data", "open.csv"], &["line 61", "opened and never closed"]);
    write("back.csv", &("a,b,c\n".to_string() + &rows(&|row| format!("\"say \\\"hi\\\", x\",{},2\n", x(row)))));
    refused(here, &["data", "back.csv"], &["line 2", "`\\\"`", "double"]);
    write("blank.csv", &("a,b,c\n".to_string() + &rows(&|row| format!("{}, \"city, country\", y\n", x(row)))));
    refused(here, &["data", "blank.csv"], &["line 2", "a space before the opening quote"]);

    // Rows that look like headers, and row names that look like numbers.
    write(
        "mushrooms.csv",
        &rows(&|row| format!("{},{},{}\n", ["p", "e"][row % 2], ["x", "b", "s"][row % 3], ["n", "w"][row / 2 % 2])),
    );
    let (out, said) = described(&["mushrooms.csv"]);
    assert!(
        out.contains("60 rows") && said.contains("(`p`, `x`, `n`) was read as a row") && said.contains("`--header`"),
        "{out}{said}"
    );
    train(here, "mushrooms.csv", "mushrooms", &[]);
    write("few.csv", "e,b,w\np,x,n\n");
    refused(
        here,
        &["score", "mushrooms", "--data", "few.csv"],
        &["lacks 3", "use `--no-header` if its first line is a row"],
    );
    assert_eq!(both(here, &["score", "mushrooms", "--data", "few.csv", "--no-header"]).0.lines().count(), 3);
    write(
        "numbered.csv",
        &(",a,b\n".to_string() + &rows(&|row| format!("{},{},{}\n", row * 37 % 61, x(row), row % 5))),
    );
    write("named.csv", &(",a,b\n".to_string() + &rows(&|row| format!("Mazda {row},{},{}\n", x(row), row % 5))));
    for name in ["numbered.csv", "named.csv"] {
        let (out, said) = described(&[name]);
        assert!(
            out.contains("2 features") && said.contains("carried along, not learned from (`--keep` learns from it)"),
            "{out}{said}"
        );
    }
    write(
        "measured.csv",
        &(",a,b\n".to_string() + &rows(&|row| format!("{}.5,{},{}\n", row * 37 % 61, x(row), row % 5))),
    );
    assert!(described(&["measured.csv"]).0.contains("3 features"));
    write(
        "dash.csv",
        &("a,b\n".to_string() + &rows(&|row| format!("{},{}\n", ["–1.5", "'2", "１.５"][row % 3], x(row)))),
    );
    assert!(described(&["dash.csv"]).1.contains("cells like `–1.5` are read as names"));

    // Booleans written differently in two files, and integers with fractions.
    write("part-1.csv", &("ok,a\n".to_string() + &rows(&|row| format!("{},{}\n", ["yes", "no"][row % 2], x(row)))));
    write("part-2.csv", &("ok,a\n".to_string() + &rows(&|row| format!("{},{}\n", row % 2, x(row)))));
    let (out, said) = described(&["part-*.csv"]);
    assert!(
        out.contains("ok      boolean") && said.contains("`yes` and 0 or 1: both are read as booleans"),
        "{out}{said}"
    );
    let (_, said) = described(&["part-2.csv", "--integer", "a"]);
    assert!(said.contains("declared as integer, but has values such as `7.1`"), "{said}");

    // Other files.
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(&fs::read(here.join("part-1.csv")).unwrap()).unwrap();
    fs::write(here.join("packed.gz"), packer.finish().unwrap()).unwrap();
    assert!(described(&["packed.gz"]).0.contains("60 rows"));
    write("lines.csv", &"{\"a\":1,\"b\":2}\n".repeat(60));
    refused(here, &["data", "lines.csv"], &["JSON by its first bytes"]);
    refused(here, &["data", "part-1.csv", "--encoding", "utf-16"], &["no zero bytes"]);
    write("infinite.csv", "a,b\n1,2\ninf,3\n");
    refused(here, &["data", "infinite.csv"], &["row 2", "`inf` is infinite: correct it"]);
    write("none.csv", &("a,b\n".to_string() + &rows(&|_| ",\n".to_string())));
    refused(here, &["train", "--data", "none.csv"], &["none of its 60 rows has any value"]);
    write("group.csv", &("g,a\n".to_string() + &rows(&|row| format!("one,{}\n", x(row)))));
    refused(here, &["train", "--data", "group.csv", "--group", "g"], &["`g`", "one group for all 60 rows"]);
}
