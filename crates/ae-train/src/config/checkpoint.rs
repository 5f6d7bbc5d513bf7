//! `[checkpoint]`: when a training is saved, and which checkpoints are kept when it has finished.

use std::{fmt, str::FromStr, time::Duration};

use ae_model::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a training is saved. In any case it is saved after each epoch, or once a second if epochs are shorter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// How often to save within a long epoch: a time such as 30s, 5min or 2h, or a number of steps. Default: 10min.
    pub every: Every,
    /// Checkpoints of a finished training to keep in `checkpoint/`: `last` keeps what `--resume RUN --epochs N` needs
    /// to continue. Default: last.
    pub keep: Keep,
}

/// An interval between checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Said", into = "Said")]
#[schemars(with = "String")]
pub enum Every {
    /// This many optimizer steps.
    Steps(u64),
    /// This much time.
    Time(Duration),
}

impl Default for Every {
    fn default() -> Self {
        Self::Time(Duration::from_secs(600))
    }
}

/// How an interval is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a time such as \"5min\", or a number of steps")]
enum Said {
    Steps(u64),
    Time(String),
}

/// Units of time, and their seconds.
const UNITS: [(&str, u64); 3] = [("h", 3600), ("min", 60), ("s", 1)];

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not a time: write a number and s, min or h, such as 5min; or a number of steps");
        let text = text.trim();
        if let Ok(steps) = text.parse() {
            return Ok(Self::Steps(steps));
        }
        let end = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = (&text[..end], text[end..].trim_start());
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        Ok(Self::Time(Duration::from_secs(number.checked_mul(*seconds).ok_or_else(wrong)?)))
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steps(steps) => steps.fmt(f),
            Self::Time(time) => {
                let whole = |(_, seconds): &&(&str, u64)| time.as_secs().is_multiple_of(*seconds);
                let (unit, seconds) = UNITS.iter().find(whole).expect("every time is so many seconds");
                write!(f, "{}{unit}", time.as_secs() / seconds)
            }
        }
    }
}

impl TryFrom<Said> for Every {
    type Error = String;

    fn try_from(said: Said) -> Result<Self, String> {
        match said {
            Said::Steps(steps) => Ok(Self::Steps(steps)),
            Said::Time(text) => text.parse(),
        }
    }
}

impl From<Every> for Said {
    fn from(every: Every) -> Self {
        match every {
            Every::Steps(steps) => Self::Steps(steps),
            Every::Time(_) => Self::Time(every.to_string()),
        }
    }
}

/// Checkpoints of a finished training to keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The last epoch and the best one.
    #[default]
    Last,
    /// The best epoch and the last three that were saved, as during training.
    All,
    /// None: the training cannot be continued.
    None,
}

impl CheckpointConfig {
    /// Checks that the interval is not zero.
    ///
    /// # Errors
    /// Zero steps, or no time.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.every {
            Every::Steps(0) => Err(ConfigError::new("checkpoint.every", 0, "at least 1 step")),
            Every::Time(time) if time.is_zero() => Err(ConfigError::new("checkpoint.every", self.every, "at least 1s")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_steps_are_read_as_they_are_written() {
        for (text, every) in [
            ("1000", Every::Steps(1000)),
            ("30s", Every::Time(Duration::from_secs(30))),
            ("90s", Every::Time(Duration::from_secs(90))),
            ("5min", Every::Time(Duration::from_secs(300))),
            ("2h", Every::Time(Duration::from_secs(7200))),
        ] {
            assert_eq!((text.parse(), every.to_string()), (Ok(every), text.to_string()));
            let toml = toml::to_string(&CheckpointConfig { every, keep: Keep::All }).unwrap();
            assert_eq!(toml::from_str::<CheckpointConfig>(&toml).unwrap().every, every, "{toml}");
        }
        assert_eq!("5 min".parse(), Ok(Every::Time(Duration::from_secs(300))));
        for wrong in ["", "min", "5 minutes", "-5min", "1.5h", "99999999999999999999s", "6000000000000000h"] {
            assert!(wrong.parse::<Every>().unwrap_err().contains("such as 5min"), "{wrong}");
        }
        assert!(toml::from_str::<CheckpointConfig>("every = true").unwrap_err().to_string().contains("5min"));
        assert!(CheckpointConfig { every: Every::Steps(0), keep: Keep::Last }.check().is_err());
    }
}
