//! Tables and settings of a day file.
//!
//! Invariant: a file says what it is (`application_id`) and how to read it (`user_version`) before anything else in it is believed.

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::path::Path;

/// Version of the bytes in a day file. A higher one is refused, a lower one is read as `FORMAT.md` says of it.
pub(super) const FORMAT: u32 = 1;

/// `PROR` in ASCII.
pub(super) const APPLICATION: u32 = 0x5052_4f52;

/// Rows are about 150 bytes: larger pages would only be rewritten more often for each insert into the index.
const PAGE_BYTES: u32 = 4096;

/// The log goes back to this size once it is folded in, so that an idle journal is not mostly log.
const LOG_BYTES_KEPT: u32 = 1 << 20;

/// Page cache of the writing connection: the right edge of each tree and the upper levels of the index.
const WRITER_CACHE_KIB: u32 = 4096;

/// Page cache of each reading connection; the system's cache is behind it.
const READER_CACHE_KIB: u32 = 512;

/// Another process may fold the log in while we open it.
const BUSY_MILLIS: u32 = 5_000;

/// Prepared statements kept by a connection: all that the engine has.
const STATEMENTS_KEPT: usize = 48;

const TABLES: &str = "
CREATE TABLE facts (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE tally (one INTEGER PRIMARY KEY, changes INTEGER, objects INTEGER, raw_bytes INTEGER);
INSERT INTO tally VALUES (1, 0, 0, 0);
CREATE TABLE types (id INTEGER PRIMARY KEY, cluster TEXT, api_group TEXT, version TEXT, kind TEXT, resource TEXT, sum INTEGER);
CREATE TABLE classes (id INTEGER PRIMARY KEY, type INTEGER, namespace TEXT, sum INTEGER);
CREATE TABLE managers (id INTEGER PRIMARY KEY, name TEXT, sum INTEGER);
CREATE TABLE dictionaries (generation INTEGER PRIMARY KEY, bytes BLOB);
CREATE TABLE checkpoints (cluster TEXT, api_group TEXT, resource TEXT, version TEXT, at TEXT, sum INTEGER, PRIMARY KEY (cluster, api_group, resource)) WITHOUT ROWID;
CREATE TABLE cursors (consumer TEXT PRIMARY KEY, seq INTEGER, state BLOB, sum INTEGER) WITHOUT ROWID;
";

/// Objects have the same columns in both kinds of file; `versions` lists positions in rewritten ones only.
const OBJECTS: &str = "
CREATE TABLE objects (id INTEGER PRIMARY KEY, class INTEGER, uid, name, regarding, sum INTEGER, versions BLOB);
CREATE INDEX objects_by_uid ON objects (substr(uid, 1, 4));
CREATE INDEX objects_by_name ON objects (class, name) WHERE typeof(name) = 'text';
CREATE INDEX objects_by_regarding ON objects (regarding) WHERE regarding IS NOT NULL;
CREATE TABLE other_regarding (uid TEXT, object INTEGER, PRIMARY KEY (uid, object)) WITHOUT ROWID;
";

const ROWS: &str = "
CREATE TABLE records (p INTEGER PRIMARY KEY, object INTEGER, bytes BLOB);
CREATE INDEX records_by_object ON records (object) WHERE object IS NOT NULL;
";

const SOLID: &str = "
CREATE TABLE blocks (id INTEGER PRIMARY KEY, first_object INTEGER, first_key INTEGER, seed INTEGER, bytes BLOB);
CREATE INDEX blocks_by_object ON blocks (first_object, first_key);
CREATE TABLE chunks (first INTEGER PRIMARY KEY, bytes BLOB);
CREATE TABLE seeds (id INTEGER PRIMARY KEY, bytes BLOB);
";

/// Makes the tables of a rewritten file, which nobody reads before it is whole.
pub(super) fn create_solid(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; BEGIN IMMEDIATE; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT};
         {TABLES} {OBJECTS} {SOLID} COMMIT;"
    ))
}

/// Opens a file that is thrown away when anything goes wrong before it is whole.
pub(super) fn open_scratch(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{WRITER_CACHE_KIB}; PRAGMA temp_store = MEMORY;"
    ))?;
    configure(&connection)?;
    Ok(connection)
}

/// Makes the tables of a file that is written to.
pub(super) fn create_rows(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE;
         PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {FORMAT}; {TABLES} {OBJECTS} {ROWS} COMMIT;"
    ))
}

/// Settings of every connection that are not pragmas.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    // Without it, statements over partial indexes are planned anew for each value bound to them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

/// Opens for writing.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = {BUSY_MILLIS}; PRAGMA synchronous = FULL; PRAGMA cache_size = -{WRITER_CACHE_KIB};
         PRAGMA journal_size_limit = {LOG_BYTES_KEPT}; PRAGMA temp_store = MEMORY;"
    ))?;
    configure(&connection)?;
    Ok(connection)
}

/// Opens for reading. `untouched` promises that nobody writes the file and no log lies beside it, so that nothing need be created.
pub(super) fn open_reader(path: &Path, untouched: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let name = format!("file:{}?mode=ro{}", escaped(path), if untouched { "&immutable=1" } else { "" });
    let connection = Connection::open_with_flags(name, flags)?;
    connection.execute_batch(&format!(
        "PRAGMA busy_timeout = {BUSY_MILLIS}; PRAGMA cache_size = -{READER_CACHE_KIB}; PRAGMA temp_store = MEMORY;"
    ))?;
    configure(&connection)?;
    Ok(connection)
}

/// A path as SQLite wants it in a URI.
fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut text = String::new();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => text.push(char::from(*byte)),
            other => text.push_str(&format!("%{other:02x}")),
        }
    }
    text
}

/// What the file says of itself: application and format version.
pub(super) fn identify(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
    let application = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let format = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok((application, format))
}

/// Two bytes that tell whether words that stand in a row are those that were written; SQLite itself checks no contents.
pub(super) fn sum(id: i64, words: &[&[u8]]) -> i64 {
    // As a signed number of sixteen bits: SQLite stores that in two bytes.
    i64::from(crc(id, words) as u16 as i16)
}

/// CRC-32 of a number and of words with their lengths: whole in the few rows whose loss somebody would act upon.
pub(super) fn crc(id: i64, words: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&id.to_le_bytes());
    for word in words {
        hasher.update(&(word.len() as u64).to_le_bytes());
        hasher.update(word);
    }
    hasher.finalize()
}

/// A number under a key of `facts`.
pub(super) fn number(connection: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("SELECT value FROM facts WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// A text under a key of `facts`.
pub(super) fn text(connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
    connection.prepare_cached("SELECT value FROM facts WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

/// Sets a key of `facts`.
pub(super) fn set(connection: &Connection, key: &str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR REPLACE INTO facts VALUES (?1, ?2)")?.execute(params![key, value])?;
    Ok(())
}

/// Removes a key of `facts`.
pub(super) fn clear(connection: &Connection, key: &str) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM facts WHERE key = ?1")?.execute([key])?;
    Ok(())
}
