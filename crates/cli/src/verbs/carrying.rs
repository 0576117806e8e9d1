//! `store export` and `store import`: a journal as a file or a pipe.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use proreus_app::storekeeping::{self, WatchImport};
use serde::Serialize;

use super::counted;
use super::store::directory;
use crate::failure::Failure;
use crate::flags::{ExportFlags, ImportFlags, ImportFormat};
use crate::output::{Format, write_one};
use crate::progress::Progress;
use crate::run::Context;

/// The word for stdin and stdout.
const STANDARD: &str = "-";
/// Bytes read or written at once.
const BUFFER: usize = 1024 * 1024;

/// What an import took in, as programs read it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Imported {
    /// Changes and marks, or changes of a watch.
    records: u64,
    /// States from before the oldest record.
    #[serde(skip_serializing_if = "Option::is_none")]
    bases: Option<u64>,
    /// Of a watch: lines, and what became of those that are no change.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Lines>,
}

/// Lines of a watch.
#[derive(Serialize)]
struct Lines {
    read: u64,
    noise: u64,
    repeated: u64,
    bookmarks: u64,
    bad: u64,
}

/// Writes a journal as a stream; a file appears under its name only when it is whole.
pub(super) fn export(flags: &ExportFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let dir = directory(flags.data_dir.as_ref(), context);
    let mut progress = Progress::new("exporting", "records", context);
    let carried = if flags.file.as_os_str() == STANDARD {
        if context.around.columns.is_some() {
            return Err(Failure::Usage {
                problem: "an export is no text for a terminal".to_owned(),
                hint: "name a FILE, or pipe it somewhere".to_owned(),
            });
        }
        let (mut out, stderr) = (Watched { inner: &mut *context.around.stdout, closed: false }, &mut *context.around.stderr);
        let exported = storekeeping::export(&dir, &mut out, &mut |done, total| progress.at(done, total, stderr));
        // A reader that has heard enough is no failure of ours.
        match (exported, out.closed) {
            (Err(_), true) => return Err(Failure::Output(io::ErrorKind::BrokenPipe.into())),
            (exported, _) => exported?,
        }
    } else {
        refuse_what_is_no_file(&flags.file)?;
        let stderr = &mut *context.around.stderr;
        let part = beside(&flags.file);
        let exported = export_to(&dir, &part, &flags.file, &mut |done, total| progress.at(done, total, stderr));
        if exported.is_err() {
            // What is left of a failed export is of no use; that it cannot be removed either says nothing new.
            let _ = std::fs::remove_file(&part);
        }
        exported?
    };
    drop(progress);
    context.note(&format!("{} and {} exported", counted(carried.records, "record"), counted(carried.bases, "base state")));
    Ok(())
}

fn export_to(dir: &Path, part: &Path, file: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<storekeeping::Carried, Failure> {
    let fail = |source: io::Error| Failure::File {
        step: format!("cannot write `{}`", file.display()),
        source,
        hint: "name a file in a directory that can be written and has room".to_owned(),
    };
    let mut out = BufWriter::with_capacity(BUFFER, File::create(part).map_err(fail)?);
    let carried = storekeeping::export(dir, &mut out, progress)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(fail)?;
    std::fs::rename(part, file).map_err(fail)?;
    Ok(carried)
}

/// A whole export takes its name by renaming, and that would put a file in the place of a device, a pipe or a link.
fn refuse_what_is_no_file(file: &Path) -> Result<(), Failure> {
    match file.symlink_metadata() {
        Ok(found) if !found.file_type().is_file() => Err(Failure::Usage {
            problem: format!("`{}` is there and is no regular file", file.display()),
            hint: "name a regular file, or write to stdout: `proreus store export - > FILE`".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// `FILE.part`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// Remembers that the reader went.
struct Watched<'a> {
    inner: &'a mut dyn Write,
    closed: bool,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).inspect_err(|error| self.closed |= error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().inspect_err(|error| self.closed |= error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// Takes a stream or lines of a watch into a journal.
pub(super) fn import(flags: &ImportFlags, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    let dir = directory(flags.data_dir.as_ref(), context);
    let (bytes, file) = open(&flags.file)?;
    let what = if flags.format == ImportFormat::Export { ("importing", "records") } else { ("importing", "bytes") };
    let mut progress = Progress::new(what.0, what.1, context);
    let stderr = &mut *context.around.stderr;
    let from: &mut dyn Read = match file {
        Some(file) => &mut BufReader::with_capacity(BUFFER, file),
        None => &mut *context.around.stdin,
    };
    let imported = match flags.format {
        ImportFormat::Export => {
            let carried = storekeeping::import(&dir, from, &mut |done, total| progress.at(done, total, stderr))?;
            Imported { records: carried.records, bases: Some(carried.bases), lines: None }
        }
        ImportFormat::WatchJsonl => {
            let how = WatchImport { cluster: flags.cluster.clone(), noise_policy: !flags.no_noise_policy };
            let from = BufReader::with_capacity(BUFFER, from);
            let report = storekeeping::import_watch_lines(&dir, from, &how, |at| progress.at(at.bytes, bytes.max(at.bytes), stderr))?;
            for (line, reason) in &report.bad_lines {
                // Whoever closed stderr does not want to hear it.
                let _ = writeln!(stderr, "line {line} was left out: {}", crate::terminal::fit::clean(reason));
            }
            let lines =
                Lines { read: report.lines, noise: report.noise, repeated: report.repeated, bookmarks: report.bookmarks, bad: report.bad };
            Imported { records: report.changes, bases: None, lines: Some(lines) }
        }
    };
    drop(progress);
    show(&imported, flags.output.output.unwrap_or_default(), &dir, context)
}

fn open(path: &Path) -> Result<(u64, Option<File>), Failure> {
    if path.as_os_str() == STANDARD {
        return Ok((0, None));
    }
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), Some(file))));
    opened.map_err(|source| Failure::File {
        step: format!("cannot read `{}`", path.display()),
        source,
        hint: "name a file that can be read, or - for stdin".to_owned(),
    })
}

fn show(imported: &Imported, format: Format, dir: &Path, context: &mut Context<'_, '_>) -> Result<(), Failure> {
    if format != Format::Table {
        return Ok(write_one(context.around.stdout, format, imported)?);
    }
    let bases = imported.bases.map_or_else(String::new, |bases| format!(" and {}", counted(bases, "base state")));
    let what = if imported.lines.is_some() { "change" } else { "record" };
    writeln!(context.around.stdout, "{}{bases} imported into {}", counted(imported.records, what), dir.display())?;
    if let Some(lines) = &imported.lines {
        let left = format!("{} noise, {} known already, {} bad", lines.noise, lines.repeated, lines.bad);
        writeln!(context.around.stdout, "{}: {left}, {}", counted(lines.read, "line"), counted(lines.bookmarks, "bookmark"))?;
    }
    Ok(())
}
