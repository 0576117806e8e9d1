//! The objects table of a day file: one row an incarnation, found by uid, by name, or by what an Event regards.
//!
//! An object's id is the position of its first record in the file (or its rank, in a rewritten one). Uids are 16 bytes where they are
//! UUIDs; the name of an Event about an object of the same file is eight bytes and that object's name. Invariant: reading a row gives
//! back exactly the texts that were written.

use proreus_model::{Name, ObjectId, Uid};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::names::Names;
use super::schema;

/// One incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectRow {
    pub(super) id: i64,
    pub(super) class: u32,
    pub(super) uid: Uid,
    pub(super) name: Name,
    pub(super) regarding: Option<Uid>,
}

impl ObjectRow {
    /// What tells whether the row is as it was written.
    pub(super) fn sum(&self) -> i64 {
        let regarding = self.regarding.as_ref().map_or(&[][..], |uid| uid.as_str().as_bytes());
        schema::sum(self.id, &[&self.class.to_le_bytes(), self.uid.as_str().as_bytes(), self.name.as_str().as_bytes(), regarding])
    }

    /// The full identity.
    pub(super) fn identity(&self, names: &Names) -> Option<ObjectId> {
        let class = names.class(self.class)?;
        Some(ObjectId {
            cluster: class.of.cluster.clone(),
            group: class.of.group.clone(),
            kind: class.of.kind.clone(),
            namespace: class.namespace.clone(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        })
    }
}

/// A uid as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum StoredUid {
    /// Sixteen bytes, written as a lower-case UUID.
    Uuid([u8; 16]),
    /// Anything else.
    Text(Box<str>),
}

impl StoredUid {
    pub(super) fn of(uid: &str) -> Self {
        parse_uuid(uid).map_or_else(|| Self::Text(uid.into()), Self::Uuid)
    }

    fn read(value: ValueRef<'_>) -> Option<Uid> {
        match value {
            ValueRef::Blob(bytes) => Some(print_uuid(bytes.try_into().ok()?).into()),
            ValueRef::Text(text) => Some(std::str::from_utf8(text).ok()?.into()),
            _ => None,
        }
    }
}

impl ToSql for StoredUid {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Uuid(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

/// Where the dashes of a UUID stand.
const DASHES: [usize; 4] = [8, 13, 18, 23];

fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut digits = Vec::with_capacity(32);
    for (index, byte) in bytes.iter().enumerate() {
        if DASHES.contains(&index) {
            (*byte == b'-').then_some(())?;
        } else {
            digits.push(*byte);
        }
    }
    parse_hex(&digits)
}

/// Lower-case hexadecimal digits as bytes.
fn parse_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(out)
}

fn print_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}

fn print_uuid(bytes: [u8; 16]) -> String {
    let mut out = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        print_hex(&mut out, &[*byte]);
    }
    out
}

/// The eight bytes behind the last dot of an Event's name, when the rest is `stem`.
fn event_tail(name: &str, stem: &str) -> Option<[u8; 8]> {
    parse_hex(name.strip_prefix(stem)?.strip_prefix('.')?.as_bytes())
}

/// Adds an object whose first record stands at `id`. Only Events may share their name with the object they regard.
pub(super) fn insert(connection: &Connection, object: &ObjectRow, is_event: bool) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT INTO objects VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL)")?;
    let uid = StoredUid::of(object.uid.as_str());
    let Some(regarding) = &object.regarding else {
        statement.execute(params![object.id, object.class, uid, object.name.as_str(), None::<i64>, object.sum()])?;
        return Ok(());
    };
    let regarding = StoredUid::of(regarding.as_str());
    let Some((target, stem)) = named_target(connection, &regarding)? else {
        statement.execute(params![object.id, object.class, uid, object.name.as_str(), regarding, object.sum()])?;
        return Ok(());
    };
    match event_tail(object.name.as_str(), &stem).filter(|_| is_event) {
        Some(tail) => statement.execute(params![object.id, object.class, uid, tail, target, object.sum()])?,
        None => statement.execute(params![object.id, object.class, uid, object.name.as_str(), target, object.sum()])?,
    };
    Ok(())
}

/// The first object with this uid whose name is stored as a text.
fn named_target(connection: &Connection, uid: &StoredUid) -> rusqlite::Result<Option<(i64, String)>> {
    connection
        .prepare_cached(
            "SELECT id, name FROM objects WHERE substr(uid, 1, 4) = substr(?1, 1, 4) AND uid = ?1 AND typeof(name) = 'text' LIMIT 1",
        )?
        .query_row([uid], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

const COLUMNS: &str = "SELECT o.id, o.class, o.uid, o.name, o.regarding, o.sum, t.uid, t.name FROM objects o LEFT JOIN objects t \
                       ON typeof(o.regarding) = 'integer' AND t.id = o.regarding";

fn read(row: &Row<'_>) -> rusqlite::Result<ObjectRow> {
    let damaged = || rusqlite::Error::QueryReturnedNoRows;
    let uid = StoredUid::read(row.get_ref(2)?).ok_or_else(damaged)?;
    let regarding = match row.get_ref(4)? {
        ValueRef::Null => None,
        ValueRef::Integer(_) => Some(StoredUid::read(row.get_ref(6)?).ok_or_else(damaged)?),
        stored => Some(StoredUid::read(stored).ok_or_else(damaged)?),
    };
    let name = match row.get_ref(3)? {
        ValueRef::Blob(tail) => {
            let mut name = row.get::<_, String>(7)?;
            name.push('.');
            print_hex(&mut name, tail);
            name
        }
        text => text.as_str()?.to_owned(),
    };
    let object = ObjectRow { id: row.get(0)?, class: row.get(1)?, uid, name: name.into(), regarding };
    if object.sum() == row.get::<_, i64>(5)? { Ok(object) } else { Err(damaged()) }
}

/// The object with this id.
pub(super) fn get(connection: &Connection, id: i64) -> rusqlite::Result<Option<ObjectRow>> {
    connection.prepare_cached(&format!("{COLUMNS} WHERE o.id = ?1"))?.query_row([id], read).optional()
}

/// All objects with this uid: one, unless somebody reuses uids.
pub(super) fn by_uid(connection: &Connection, uid: &str) -> rusqlite::Result<Vec<ObjectRow>> {
    let uid = StoredUid::of(uid);
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE substr(o.uid, 1, 4) = substr(?1, 1, 4) AND o.uid = ?1"))?;
    statement.query_map([&uid], read)?.collect()
}

/// Objects of a class, in no order. Events are most of a file, and only they are found by reading the table through.
pub(super) fn of_class(connection: &Connection, class: u32, is_event: bool) -> rusqlite::Result<Vec<ObjectRow>> {
    let mut statement = if is_event {
        connection.prepare_cached(&format!("{COLUMNS} WHERE +o.class = ?1"))?
    } else {
        connection.prepare_cached(&format!("{COLUMNS} WHERE o.class = ?1 AND typeof(o.name) = 'text'"))?
    };
    statement.query_map([class], read)?.collect()
}

/// Ids of at most `limit` objects of a class that is no Event.
pub(super) fn ids_of_class(connection: &Connection, class: u32, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT id FROM objects WHERE class = ?1 AND typeof(name) = 'text' LIMIT ?2";
    connection.prepare_cached(sql)?.query_map(params![class, i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?.collect()
}

/// Ids of all objects.
pub(super) fn ids(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection.prepare_cached("SELECT id FROM objects")?.query_map([], |row| row.get(0))?.collect()
}

/// Ids of the objects that have a row in a range that begins behind the base, in a file of rows. An object's first row names no object:
/// it stands at the object's id.
pub(super) fn ids_of_rows(connection: &Connection, (first, last): (i64, i64)) -> rusqlite::Result<Vec<i64>> {
    let sql = "SELECT id FROM objects WHERE id BETWEEN ?1 AND ?2
               UNION SELECT object FROM records WHERE object IS NOT NULL AND object < ?1 AND p BETWEEN ?1 AND ?2";
    connection.prepare_cached(sql)?.query_map([first, last], |row| row.get(0))?.collect()
}

/// Objects of a class with a name.
pub(super) fn named(connection: &Connection, names: &Names, class: u32, name: &str) -> rusqlite::Result<Vec<ObjectRow>> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS} WHERE o.class = ?1 AND o.name = ?2 AND typeof(o.name) = 'text'"))?;
    let mut rows: Vec<ObjectRow> = statement.query_map(params![class, name], read)?.collect::<rusqlite::Result<_>>()?;
    let Some(wanted) = names.class(class).filter(|class| class.is_event()) else { return Ok(rows) };
    let Some((stem, _)) = name.rsplit_once('.') else { return Ok(rows) };
    let mut targets = connection.prepare_cached("SELECT id FROM objects WHERE class = ?1 AND name = ?2 AND typeof(name) = 'text'")?;
    let mut events = connection.prepare_cached(&format!("{COLUMNS} WHERE o.regarding = ?1 AND typeof(o.name) = 'blob'"))?;
    for (id, of) in names.classes() {
        if of.of.cluster != wanted.of.cluster {
            continue;
        }
        for target in targets.query_map(params![id, stem], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()? {
            let found = events.query_map([target], read)?.collect::<rusqlite::Result<Vec<_>>>()?;
            rows.extend(found.into_iter().filter(|event| event.class == class && event.name.as_str() == name));
        }
    }
    Ok(rows)
}

/// Ids of the Events that regard the object with this uid.
pub(super) fn regarding(connection: &Connection, uid: &str) -> rusqlite::Result<Vec<i64>> {
    let stored = StoredUid::of(uid);
    let mut ids = Vec::new();
    let mut statement = connection.prepare_cached("SELECT id FROM objects WHERE regarding = ?1")?;
    for object in by_uid(connection, uid)? {
        ids.extend(statement.query_map([object.id], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    ids.extend(statement.query_map([&stored], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?);
    let mut others = connection.prepare_cached("SELECT object FROM other_regarding WHERE uid = ?1")?;
    ids.extend(others.query_map([uid], |row| row.get::<_, i64>(0))?.collect::<rusqlite::Result<Vec<_>>>()?);
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Remembers that some record of the object regards another uid than the object's row says.
pub(super) fn insert_other_regarding(connection: &Connection, uid: &str, object: i64) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT OR IGNORE INTO other_regarding VALUES (?1, ?2)")?.execute(params![uid, object])?;
    Ok(())
}
