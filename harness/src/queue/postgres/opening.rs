//! How a process joins a run on a server.

use std::cmp::Ordering;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};

use super::error::{ServerError, words};
use super::link::{Connection, Identity, Link, Timing};
use super::pages::Pages;
use super::{FORMAT, sql};
use crate::engine::Url;
use crate::engine::postgres::address::check_version;
use crate::queue::difference::other_run;
use crate::queue::open::check_run_id;
use crate::queue::{OpenOptions, Opened, Plan, PlanEntry, QueueError};

/// A run that was joined.
pub(super) struct Entered {
    pub link: Link,
    pub identity: Identity,
    pub plan: Plan,
    pub pages: Pages,
    /// The number of the join event.
    pub joined_at: i64,
    /// How many events this participant wrote by joining.
    pub n: i64,
}

/// A run as found on the server.
struct Found {
    run: i64,
    plan_hash: String,
    plan_len: i32,
    lease_ms: i32,
    stopped: bool,
    workers: i32,
    /// JSON; `None` if an older release started the run.
    settings: Option<String>,
    finished: i64,
}

/// Joins the run that `options` specify, or starts it with `plan`.
pub(super) fn open(url: &Url, plan: Plan, options: &OpenOptions) -> Result<(Entered, Opened), QueueError> {
    let run_id = options.run_id.as_deref().unwrap_or_default();
    check_run_id(run_id)?;
    let mut link = Link::new(url)?;
    prepare(&link)?;
    let key = random(&link)?;
    loop {
        let Some(found) = find(&link, run_id)? else {
            begin(&link, key, run_id, &plan)?;
            // Another process may have started the run first.
            continue;
        };
        let pages = Pages::new(&options.pages, found.run)?;
        let theirs = read_plan(&link, run_id, &found)?;
        let opened = match found.run == key {
            true => Opened::Started,
            false => decide(&link, &found, &pages, (&theirs, &plan), options)?,
        };
        let resumes = options.resume && matches!(opened, Opened::Resumed { .. });
        let Some(entered) = join(&mut link, found, run_id, pages, options, resumes)? else {
            // The run was finished, and another process has just dropped it.
            continue;
        };
        if let (Opened::Started, Some(keep)) = (&opened, options.keep_runs) {
            let keep = i64::try_from(keep).unwrap_or(i64::MAX);
            link.call_long(async |connection, _| connection.rows(sql::DROP_OLD, &[&key, &keep]).await)?;
        }
        return Ok((entered.with(link, theirs), opened));
    }
}

/// Joins run `run_id`, which another process has started.
pub(super) fn join_run(url: &Url, run_id: &str, options: &OpenOptions) -> Result<Entered, QueueError> {
    let mut link = Link::new(url)?;
    let missing = |link: &Link| QueueError::NoSuchRun { queue: link.queue().to_owned(), run: run_id.to_owned() };
    if !has_schema(&link)? {
        return Err(missing(&link));
    }
    prepare(&link)?;
    let found = find(&link, run_id)?.ok_or_else(|| missing(&link))?;
    let pages = Pages::new(&options.pages, found.run)?;
    let plan = read_plan(&link, run_id, &found)?;
    match join(&mut link, found, run_id, pages, options, false)? {
        Some(entered) => Ok(entered.with(link, plan)),
        None => Err(missing(&link)),
    }
}

fn rows(link: &Link, sql: &'static str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, ServerError> {
    link.call_long(async |connection: &Connection, _| connection.rows(sql, values).await)
}

fn has_schema(link: &Link) -> Result<bool, ServerError> {
    Ok(rows(link, sql::HAS_SCHEMA, &[])?[0].get(0))
}

/// Checks that the server is usable and the tables exist.
fn prepare(link: &Link) -> Result<(), ServerError> {
    let version = link.call(async |connection, _| Ok(connection.version))?;
    let refused = |why| ServerError::Refused { queue: link.queue().to_owned(), why };
    check_version(version).map_err(refused)?;
    if !has_schema(link)? {
        change(link, sql::SCHEMA)?;
    }
    let version = rows(link, sql::VERSION, &[])?[0].get::<_, Option<i32>>(0).unwrap_or(0);
    match version.cmp(&FORMAT) {
        Ordering::Greater => Err(ServerError::NewerVersion { queue: link.queue().to_owned(), version, known: FORMAT }),
        Ordering::Equal => Ok(()),
        Ordering::Less => change(link, sql::UPGRADE),
    }
}

/// Creates or migrates tables. Users may lack the rights for this.
fn change(link: &Link, sql: &'static str) -> Result<(), ServerError> {
    let made = link.call_long(async |connection, _| match connection.batch(sql).await {
        // 42501: the user may not do this, so trying again is useless.
        Err(error) if error.as_db_error().is_some_and(|answer| answer.code().code() == "42501") => {
            Ok(Err(words(&error)))
        }
        Err(error) => Err(error),
        Ok(()) => Ok(Ok(())),
    })?;
    made.map_err(|why| ServerError::NoRights { queue: link.queue().to_owned(), why })
}

fn find(link: &Link, run_id: &str) -> Result<Option<Found>, ServerError> {
    let rows = rows(link, sql::FIND_RUN, &[&run_id])?;
    Ok(rows.first().map(|row| Found {
        run: row.get(0),
        plan_hash: row.get(1),
        plan_len: row.get(2),
        lease_ms: row.get(3),
        stopped: row.get::<_, Option<&str>>(4).is_some(),
        workers: row.get(5),
        settings: row.get(6),
        finished: row.get(7),
    }))
}

/// Writes the run and its plan, unless another process has.
fn begin(link: &Link, key: i64, run_id: &str, plan: &Plan) -> Result<(), ServerError> {
    let names: Vec<&str> = plan.entries().iter().map(|entry| entry.name.as_str()).collect();
    let passes: Vec<i32> = plan.entries().iter().map(|entry| entry.pass.cast_signed()).collect();
    let contents: Vec<Option<&str>> = (0..plan.len()).map(|entry| plan.content(entry)).collect();
    let (length, lease_ms) = (plan.len() as i32, link.timing().lease_ms());
    let settings = serde_json::to_string(plan.settings()).expect("plain data becomes JSON in memory");
    let values: [&(dyn ToSql + Sync); 9] =
        [&key, &run_id, &plan.hash(), &length, &lease_ms, &names, &passes, &contents, &settings];
    rows(link, sql::BEGIN, &values).map(drop)
}

/// The plan of a run, which must be complete.
fn read_plan(link: &Link, run_id: &str, found: &Found) -> Result<Plan, QueueError> {
    let Some(settings) = &found.settings else {
        return Err(QueueError::OlderRun { queue: link.queue().to_owned(), run: run_id.to_owned() });
    };
    let rows = rows(link, sql::PLAN, &[&found.run])?;
    let mut entries = Vec::with_capacity(rows.len());
    let mut contents = Vec::with_capacity(rows.len());
    for row in &rows {
        entries.push(PlanEntry::new(row.get::<_, String>(1), row.get::<_, i32>(2).cast_unsigned()));
        contents.extend(row.get::<_, Option<String>>(3));
    }
    let damaged = |what: String| ServerError::Damaged { queue: link.queue().to_owned(), run: run_id.to_owned(), what };
    let in_order = rows.iter().enumerate().all(|(index, row)| row.get::<_, i32>(0) as usize == index);
    if rows.len() != found.plan_len as usize || !in_order {
        return Err(damaged(format!("of {} entries of its plan there are {}", found.plan_len, rows.len())).into());
    }
    let settings = serde_json::from_str(settings).map_err(|error| damaged(format!("its settings: {error}")))?;
    let plan = Plan::new(entries).map_err(|error| damaged(error.to_string()))?;
    let plan = plan.with_contents(contents).with_settings(settings);
    if plan.hash() != found.plan_hash {
        return Err(damaged("its plan has changed since it started".to_owned()).into());
    }
    Ok(plan)
}

/// Decides about the existing run.
fn decide(
    link: &Link,
    found: &Found,
    pages: &Pages,
    (theirs, ours): (&Plan, &Plan),
    options: &OpenOptions,
) -> Result<Opened, QueueError> {
    let run = || options.run_id.clone().unwrap_or_default();
    if theirs.hash() != ours.hash() {
        return Err(other_run(link.queue(), &run(), theirs, ours));
    }
    if ours.rewrites() {
        return Err(QueueError::Rewritten { queue: link.queue().to_owned(), run: run() });
    }
    let living = rows(link, sql::LIVING, &[&found.run])?;
    let mut alive = false;
    for row in &living {
        alive |= !pages.has_died(row.get::<_, i32>(0).cast_unsigned(), row.get(1))?;
    }
    let (finished, length) = (found.finished as usize, theirs.len());
    Ok(match () {
        () if finished == length => Opened::AlreadyFinished,
        // A run without participants was started a moment ago, and its first participant is about to join.
        () if alive || found.workers == 0 || (found.stopped && !options.resume) => Opened::Joined,
        () => Opened::Resumed { finished, left: length - finished },
    })
}

/// A participant, before it has its connection and its plan.
struct Participant {
    identity: Identity,
    pages: Pages,
    joined_at: i64,
    n: i64,
}

impl Participant {
    fn with(self, link: Link, plan: Plan) -> Entered {
        let Participant { identity, pages, joined_at, n } = self;
        Entered { link, identity, plan, pages, joined_at, n }
    }
}

/// Records one more participant; `None` if the run is gone.
fn join(
    link: &mut Link,
    found: Found,
    run_id: &str,
    mut pages: Pages,
    options: &OpenOptions,
    resumes: bool,
) -> Result<Option<Participant>, QueueError> {
    let parent = options.parent.map(u32::cast_signed);
    let (label, run, lease_ms) = (options.label.as_str(), found.run, found.lease_ms);
    let joined = link.call_long(async |connection, _| {
        // Each try uses a new number for the lock. If a try that seemed to fail did succeed, it left a participant whose lock
        // nobody ever holds, so that participant counts as lost from the start.
        let lock = getrandom::u64().unwrap_or_default().cast_signed();
        connection.take_lock(lock).await?;
        let values: [&(dyn ToSql + Sync); 8] =
            [&run, &parent, &label, &pages.place(), &lock, &lease_ms, &label, &resumes];
        let rows = connection.rows(sql::JOIN, &values).await?;
        Ok::<_, Error>(rows.first().map(|row| (lock, row.get::<_, i32>(0), row.get::<_, i64>(1))))
    })?;
    let Some((lock, worker, joined_at)) = joined else { return Ok(None) };
    let timing = Timing::from_ms(lease_ms);
    let identity = Identity { run, run_id: run_id.to_owned(), worker, lock, timing };
    link.identify(identity.clone(), options.parent.is_some())?;
    pages.acquire(worker.cast_unsigned())?;
    Ok(Some(Participant { identity, pages, joined_at, n: 1 + i64::from(resumes) }))
}

/// A number that no other run has.
fn random(link: &Link) -> Result<i64, QueueError> {
    match getrandom::u64() {
        Ok(number) => Ok((number >> 1).cast_signed()),
        Err(error) => Err(ServerError::System {
            queue: link.queue().to_owned(),
            what: "get random numbers",
            source: std::io::Error::other(error.to_string()),
        }
        .into()),
    }
}
