//! ae
fn main() {}
