//! Colours by meaning. Off unless the output is a terminal or the person insists.

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On terminals, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Not at all.
    Never,
}

/// What a piece of text means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Nothing in particular.
    #[default]
    Plain,
    /// Column heads and other text that stands back.
    Faint,
    /// What the eye should find first.
    Strong,
    /// Something came.
    Added,
    /// Something changed.
    Changed,
    /// Something went.
    Removed,
    /// Worth a look: warnings, gaps.
    Warning,
    /// Something failed.
    Bad,
    /// A kind of object.
    Kind,
    /// The path of a field.
    Path,
    /// A truth about the watching.
    Mark,
}

impl Ink {
    /// The select-graphic-rendition codes: the sixteen colours only, so that the person's own palette decides.
    fn codes(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Faint => "2",
            Self::Strong => "1",
            Self::Added => "32",
            Self::Changed => "33",
            Self::Removed => "31",
            Self::Warning => "33",
            Self::Bad => "1;31",
            Self::Kind => "36",
            Self::Path => "36",
            Self::Mark => "35",
        }
    }
}

/// Puts ink on text, or leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Decides for one output.
    pub(crate) fn of(choice: ColorChoice, terminal: bool, env: &dyn Fn(&str) -> Option<String>) -> Self {
        let on = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            // https://no-color.org: set to anything but the empty text.
            ColorChoice::Auto => {
                terminal && env("NO_COLOR").is_none_or(|value| value.is_empty()) && env("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Self { on }
    }

    /// Whether there are colours.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// The text in its ink.
    pub(crate) fn text(self, ink: Ink, text: &str) -> String {
        match self.on && ink != Ink::Plain && !text.is_empty() {
            true => format!("\u{1b}[{}m{text}\u{1b}[0m", ink.codes()),
            false => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(choice: ColorChoice, terminal: bool, env: &[(&str, &str)]) -> bool {
        let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Paint::of(choice, terminal, &get).text(Ink::Added, "x") != "x"
    }

    #[test]
    fn colours_terminals_only_and_honours_no_color() {
        assert!(painted(ColorChoice::Auto, true, &[]));
        assert!(painted(ColorChoice::Auto, true, &[("NO_COLOR", "")]));
        assert!(!painted(ColorChoice::Auto, false, &[]));
        assert!(!painted(ColorChoice::Auto, true, &[("NO_COLOR", "1")]));
        assert!(!painted(ColorChoice::Auto, true, &[("TERM", "dumb")]));
    }

    #[test]
    fn the_persons_word_beats_terminal_and_environment() {
        assert!(painted(ColorChoice::Always, false, &[("NO_COLOR", "1")]));
        assert!(!painted(ColorChoice::Never, true, &[]));
    }
}
