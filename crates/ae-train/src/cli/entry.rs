//! A command as the command line knows it: its name, its help with examples, its arguments, and what it does.

use ae_model::Registry;
use clap::{
    ArgMatches, Args, Command,
    builder::styling::{Style, Styles},
};

use crate::{Error, Result};

/// Commands that stand together in the overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// From data to a run.
    Train,
    /// What is done with a run.
    Use,
    /// What there is to know.
    LookUp,
    /// For the shell.
    Shell,
    /// In no overview.
    Hidden,
}

impl Group {
    /// The groups of the overview, in their order, with their headings.
    pub const SHOWN: [(Self, &str); 4] = [
        (Self::Train, "Train"),
        (Self::Use, "Use a run"),
        (Self::LookUp, "Look up"),
        (Self::Shell, "Set up the shell"),
    ];
}

/// What a command does with its arguments.
type Act = Box<dyn Fn(&ArgMatches, &Registry) -> Result<()>>;

/// A command.
pub struct Entry {
    /// What it is called by.
    pub name: &'static str,
    /// Where it stands in the overview.
    pub group: Group,
    /// What it does, in a sentence.
    pub about: &'static str,
    /// Command lines with what they do.
    examples: &'static [(&'static str, &'static str)],
    augment: fn(Command) -> Command,
    act: Act,
}

impl Entry {
    /// A command with the arguments `A`.
    pub fn new<A: Args + 'static>(
        group: Group,
        name: &'static str,
        about: &'static str,
        examples: &'static [(&'static str, &'static str)],
        act: fn(&A, &Registry) -> Result<()>,
    ) -> Self {
        let act: Act = Box::new(move |matches, registry| {
            let args = A::from_arg_matches(matches).map_err(|error| Error::Usage(error.to_string()))?;
            act(&args, registry)
        });
        Self { name, group, about, examples, augment: A::augment_args, act }
    }

    /// Another way to add its arguments.
    pub fn augmented(mut self, augment: fn(Command) -> Command) -> Self {
        self.augment = augment;
        self
    }

    /// What clap reads.
    pub fn command(&self) -> Command {
        let command = (self.augment)(Command::new(self.name)).about(self.about).long_about(None);
        let command = command.hide(self.group == Group::Hidden);
        if self.examples.is_empty() { command } else { command.after_help(examples(self.examples)) }
    }

    /// Does it.
    ///
    /// # Errors
    /// Whatever the command fails with.
    pub fn run(&self, matches: &ArgMatches, registry: &Registry) -> Result<()> {
        (self.act)(matches, registry)
    }
}

/// A text in a style of clap's.
pub fn styled(style: &Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The examples of a help text.
pub fn examples(examples: &[(&str, &str)]) -> String {
    let styles = Styles::styled();
    let mut text = styled(styles.get_header(), "Examples:");
    for (line, what) in examples {
        // A program with parts of its own has every command under its own name.
        let line = &line.replacen("ae", &super::program(), 1);
        text += &format!("\n  {}\n      {what}", styled(styles.get_literal(), line));
    }
    text
}
