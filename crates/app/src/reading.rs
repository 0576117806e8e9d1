//! Opening a journal's files for questions, beside whoever writes them; and the whole application over them, for who cannot reach a server.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use proreus_model::Clock;
use proreus_store::SqliteJournal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::access::Authenticator;
use crate::monitors::{MonitorInputs, Monitors};
use crate::questions::MAX_PAGE_LIMIT;
use crate::status::NoRecording;
use crate::{AppError, Application, Questions};

/// Between two looks at a journal that another process writes.
const LOOK: Duration = Duration::from_millis(500);

/// Questions to the journal in `dir`; a writer may go on beside us, and nothing is written.
///
/// # Errors
/// No journal there, one of a newer version, or files that cannot be read.
pub fn open_reading(dir: &Path) -> Result<Questions, AppError> {
    Ok(Questions::new(Arc::new(SqliteJournal::open_read_only(dir)?)))
}

/// The application over files alone: no cluster is watched, whoever has us may read everything, and *now* is the last record.
///
/// Follows what another process writes until `ending`.
pub fn application_over_files(questions: Questions, otherwise: Arc<dyn Clock>, ending: CancellationToken) -> Arc<Application> {
    let clock: Arc<dyn Clock> = Arc::new(LastRecord { questions: questions.clone(), otherwise });
    let (moved, watermark) = watch::channel(questions.journal().watermark());
    let monitors = Arc::new(Monitors::new(MonitorInputs::new(questions.clone(), Arc::clone(&clock))));
    tokio::spawn(Arc::clone(&monitors).follow(watermark.clone(), ending.clone()));
    let followed = questions.clone();
    tokio::spawn(async move {
        while !ending.is_cancelled() {
            let now = followed.journal().watermark();
            moved.send_if_modified(|seq| std::mem::replace(seq, now) != now);
            tokio::select! {
                () = ending.cancelled() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    });
    Arc::new(Application {
        questions,
        door: Authenticator::Open,
        clock,
        board: Arc::new(NoRecording),
        emission: Arc::default(),
        watermark,
        watching: None,
        monitors,
        logs: None,
        max_query_limit: MAX_PAGE_LIMIT,
    })
}

/// The time of the journal's last record, so that an old journal is read as it was; another clock's while there is none.
struct LastRecord {
    questions: Questions,
    otherwise: Arc<dyn Clock>,
}

impl Clock for LastRecord {
    fn now(&self) -> Timestamp {
        self.questions.journal().last_recorded_at().unwrap_or_else(|| self.otherwise.now())
    }
}
