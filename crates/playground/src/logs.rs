//! Scripted container logs: text by (namespace, pod name or its beginning, container), with the moment each line was written.

use jiff::Timestamp;

/// Lines kept of one container; older ones go first, as with rotated files.
const LINES_LIMIT: usize = 5_000;

/// One written line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

/// Lines of one run of one container.
#[derive(Debug)]
struct Run {
    namespace: String,
    pod: String,
    container: String,
    /// 0 for the first run; every restart adds one.
    restart: i64,
    lines: Vec<Line>,
}

/// All logs of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    runs: Vec<Run>,
}

/// Which log is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) container: &'a str,
    pub(crate) restart: i64,
}

impl Logs {
    /// Adds lines to a log.
    pub(crate) fn write(&mut self, of: Of<'_>, at: Timestamp, text: &str) {
        let at_run = self.runs.iter().position(|run| run.is(of));
        let run = match at_run {
            Some(at) => self.runs.get_mut(at),
            None => {
                let (namespace, pod, container) = (of.namespace.to_owned(), of.pod.to_owned(), of.container.to_owned());
                self.runs.push(Run { namespace, pod, container, restart: of.restart, lines: Vec::new() });
                self.runs.last_mut()
            }
        };
        let Some(run) = run else { return };
        run.lines.extend(text.lines().map(|line| Line { at, text: line.to_owned() }));
        let surplus = run.lines.len().saturating_sub(LINES_LIMIT);
        run.lines.drain(..surplus);
    }

    /// The lines of a log, none where nothing was written.
    pub(crate) fn read(&self, of: Of<'_>) -> &[Line] {
        self.runs.iter().find(|run| run.is(of)).map_or(&[], |run| run.lines.as_slice())
    }

    /// Drops the logs of a pod that is gone.
    pub(crate) fn forget(&mut self, namespace: &str, pod: &str) {
        self.runs.retain(|run| run.namespace != namespace || run.pod != pod);
    }
}

impl Run {
    fn is(&self, of: Of<'_>) -> bool {
        self.namespace == of.namespace && self.pod == of.pod && self.container == of.container && self.restart == of.restart
    }
}
