//! A child process that cannot outlive its owner.
//!
//! It ends by its own id when the value is dropped, and the kernel ends it when this process
//! is killed. It restarts nothing and reads no output: that goes to a log file.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::{Error, Result};

// Processes end within milliseconds of a signal; this only bounds how stale a look may be.
const LOOK_EVERY: Duration = Duration::from_millis(20);
// Enough to hold a panic or a refusal of a flag, little enough to read in a test's output.
const LOG_TAIL_LINES: usize = 30;

/// A running program, its process group and its log.
#[derive(Debug)]
pub struct Child {
    program: &'static str,
    process: std::process::Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command` in a process group of its own, with all its output appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not started.
    pub fn start(program: &'static str, mut command: Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log).map_err(Error::io("open", log))?;
        let errors = output.try_clone().map_err(Error::io("open", log))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        die_with_this_process(&mut command);
        let path = PathBuf::from(command.get_program());
        let process = spawn(command).map_err(Error::io("start", path))?;
        Ok(Self { program, process, log: log.to_owned(), ended: None })
    }

    /// The process id, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The program's name.
    pub fn program(&self) -> &'static str {
        self.program
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// With the end of the log if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.ended() {
            None => Ok(()),
            Some(status) => Err(Error::Exited { program: self.program, status, log: self.log_tail() }),
        }
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_TAIL_LINES)..).unwrap_or_default().join("\n")
    }

    /// Asks it to end, and kills it if it has not within `grace`. Tells whether it obeyed.
    pub async fn terminate(&mut self, grace: Duration) -> bool {
        self.signal(Signal::SIGTERM);
        let deadline = Instant::now() + grace;
        while self.ended().is_none() {
            if Instant::now() >= deadline {
                self.kill();
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    }

    /// Kills it, as `kill -9` does, and returns when it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        if self.ended.is_none() {
            self.ended = self.process.wait().ok();
        }
    }

    /// Sends a signal to the whole group; nothing once the leader has been reaped, as its id
    /// may then be another's.
    fn signal(&self, signal: Signal) {
        if let (None, Ok(group)) = (self.ended, i32::try_from(self.process.id())) {
            // The only failure left is that the group is already gone, which is what is wanted.
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Has the kernel kill the child when the thread that starts it ends.
#[allow(unsafe_code)]
fn die_with_this_process(command: &mut Command) {
    let parent = std::process::id();
    let bind = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // Had the parent died before the line above, nobody would ever send the signal.
        if u32::try_from(nix::unistd::getppid().as_raw()) != Ok(parent) {
            return Err(io::Error::from(nix::Error::ESRCH));
        }
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. The closure makes
    // two plain system calls (prctl, getppid), takes no lock and allocates nothing: both of its
    // errors are bare numbers.
    unsafe {
        command.pre_exec(bind);
    }
}

type SpawnRequest = (Command, mpsc::Sender<io::Result<std::process::Child>>);

/// Starts a command from a thread that lives as long as this process.
///
/// The parent-death signal is sent when the starting *thread* ends, and a test's thread or a
/// runtime's blocking thread ends long before the process does.
fn spawn(command: Command) -> io::Result<std::process::Child> {
    static STARTER: OnceLock<Mutex<mpsc::Sender<SpawnRequest>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (requests, queue) = mpsc::channel::<SpawnRequest>();
        std::thread::spawn(move || {
            for (mut command, answer) in queue {
                // Whoever asked may have gone; the child is then dropped and the error with it.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(requests)
    });
    let (answer, started) = mpsc::channel();
    starter
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send((command, answer))
        .map_err(|_| io::Error::other("the starting thread has ended"))?;
    started.recv().map_err(|_| io::Error::other("the starting thread has ended"))?
}
