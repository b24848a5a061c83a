//! The tables on the server, and every statement.
//!
//! Each operation is one statement and so one transaction, which does nothing unless its caller is allowed to. It
//! writes an event with the caller's number and the caller's own count (`n`): a caller that does not learn whether a
//! statement took effect looks for its event.

/// The schema of format 2.
///
/// Sent in one piece, it is one transaction; a lock lets one participant create it while the others wait.
pub(super) const SCHEMA: &str = "
SELECT pg_advisory_xact_lock(8317141836154271053);
CREATE SCHEMA IF NOT EXISTS slt_queue;
-- The version of this format, in one row.
CREATE TABLE IF NOT EXISTS slt_queue.format (version int NOT NULL);
-- Numbers events, and so leases and turns: a later one is higher.
CREATE SEQUENCE IF NOT EXISTS slt_queue.numbers;
CREATE TABLE IF NOT EXISTS slt_queue.runs (
    run bigint PRIMARY KEY,             -- a random number, which distinguishes two runs even if they have the same id
    id text NOT NULL UNIQUE,
    plan_hash text NOT NULL,            -- of names, passes, contents and settings, whatever their order
    settings text,                      -- JSON: what verdicts depend on besides the files; format 1 had none
    plan_len int NOT NULL,
    lease_ms int NOT NULL,              -- for how long a participant is believed to live without a sign of life
    workers int NOT NULL DEFAULT 0,     -- how many participants have joined
    stopped text,                       -- why all were asked to stop
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE IF NOT EXISTS slt_queue.entries (
    run bigint NOT NULL,
    entry int NOT NULL,                 -- the place in the plan, from 0
    name text NOT NULL,
    pass int NOT NULL,
    content text,                       -- the file's length and checksum
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'leased', 'final')),
    turn bigint NOT NULL,               -- the lowest of those that wait is next
    attempts int NOT NULL DEFAULT 0,
    deaths int NOT NULL DEFAULT 0,
    holder int,                         -- whose lease it is
    claimer int,                        -- who claimed it: the same, or the lost participant that it was taken from
    sequence bigint,                    -- the number of the event that gave the lease; only who knows it may finish
    outcome text CHECK ((outcome IS NOT NULL) = (state = 'final')),     -- JSON
    PRIMARY KEY (run, entry)
);
CREATE INDEX IF NOT EXISTS entries_waiting ON slt_queue.entries (run, turn) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS entries_leased ON slt_queue.entries (run, holder) WHERE state = 'leased';
CREATE TABLE IF NOT EXISTS slt_queue.participants (
    run bigint NOT NULL,
    worker int NOT NULL,                -- counted from 1
    parent int,                         -- its supervisor
    label text NOT NULL,
    place text NOT NULL,                -- the machine and the folder where its page is
    lock bigint NOT NULL,               -- the advisory lock that its session holds
    lease_until timestamptz NOT NULL,   -- as given by itself, or by its supervisor
    missed_at timestamptz,              -- since when its session or its sign of life has been missing
    gone boolean NOT NULL DEFAULT false,    -- has left, or was declared lost; never again false
    PRIMARY KEY (run, worker)
);
CREATE TABLE IF NOT EXISTS slt_queue.events (
    run bigint NOT NULL,
    worker int NOT NULL,
    n bigint NOT NULL,                  -- this participant's events are counted from 1, without a gap
    number bigint NOT NULL,
    kind text NOT NULL,                 -- join, claim, finish, requeue, lost, stop, resume
    entry int,
    other int,                          -- lost: from whom
    body text,                          -- join: the label; requeue, stop: why; lost: JSON of what was running
    attempt text,                       -- requeue: JSON of the attempt that did not pass
    PRIMARY KEY (run, worker, n)
);
CREATE INDEX IF NOT EXISTS events_attempts ON slt_queue.events (run, entry) WHERE attempt IS NOT NULL;
INSERT INTO slt_queue.format SELECT 2 WHERE NOT EXISTS (SELECT FROM slt_queue.format);
";

/// Migrates format 1 to format 2. Runs in progress continue: their participants know the columns that they use.
pub(super) const UPGRADE: &str = "
SELECT pg_advisory_xact_lock(8317141836154271053);
ALTER TABLE slt_queue.runs ADD COLUMN IF NOT EXISTS settings text;
UPDATE slt_queue.format SET version = 2 WHERE version < 2;
";

/// Whether the schema exists.
pub(super) const HAS_SCHEMA: &str = "SELECT to_regclass('slt_queue.format') IS NOT NULL";

pub(super) const VERSION: &str = "SELECT max(version) FROM slt_queue.format";

/// The settings of every session. A claim must find its entry by an index, even if the server has no statistics about the
/// tables. A claim must not be planned each time, because planning takes longer than the claim. Changes that the server has
/// confirmed must be kept after a crash of the server.
pub(super) const SESSION: &str = "
SET synchronous_commit = on;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET plan_cache_mode = force_generic_plan;
SET jit = off;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET client_min_messages = warning;
SET search_path = pg_catalog;
";

/// A setting that exists since PostgreSQL 14.
pub(super) const SESSION_14: &str = "SET idle_session_timeout = 0";

pub(super) const SERVER_VERSION: &str = "SHOW server_version_num";

/// The keys of the advisory locks that sessions hold in this database, and their processes.
macro_rules! held {
    () => {
        "held AS MATERIALIZED (
            SELECT (classid::bigint << 32) | objid::bigint AS key, pid FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
    };
}

/// Ends other sessions that hold the lock of this participant.
pub(super) const END_OWN: &str =
    concat!("WITH ", held!(), " SELECT pg_terminate_backend(pid) FROM held WHERE key = $1 AND pid <> pg_backend_pid()");

pub(super) const TRY_LOCK: &str = "SELECT pg_try_advisory_lock($1)";

/// A heartbeat of the caller and of its workers. Statements that change several participants lock them in the order of their
/// numbers, which is the order of the index, so there is no deadlock.
pub(super) const RENEW: &str = "
UPDATE slt_queue.participants
SET lease_until = clock_timestamp() + $3::int * interval '1 millisecond',
    missed_at = CASE WHEN worker <> $2 THEN missed_at END
WHERE run = $1 AND (worker = $2 OR parent = $2) AND NOT gone RETURNING worker";

pub(super) const LEAVE: &str = "UPDATE slt_queue.participants SET gone = true WHERE run = $1 AND worker = $2";

/// The run with that id.
pub(super) const FIND_RUN: &str = "
SELECT r.run, r.plan_hash, r.plan_len, r.lease_ms, r.stopped, r.workers, r.settings,
       (SELECT count(*) FROM slt_queue.entries e WHERE e.run = r.run AND e.state = 'final') AS finished
FROM slt_queue.runs r WHERE r.id = $1";

/// The participants of a run that are active, as far as the server knows.
pub(super) const LIVING: &str = concat!(
    "WITH ",
    held!(),
    " SELECT p.worker, p.place FROM slt_queue.participants p
    WHERE p.run = $1 AND NOT p.gone AND p.lock IN (SELECT key FROM held)"
);

pub(super) const PLAN: &str = "SELECT entry, name, pass, content FROM slt_queue.entries WHERE run = $1 ORDER BY entry";

/// Starts a run, unless one with that id exists.
pub(super) const BEGIN: &str = "
WITH made AS (
    INSERT INTO slt_queue.runs (run, id, plan_hash, plan_len, lease_ms, settings) VALUES ($1, $2, $3, $4, $5, $9)
    ON CONFLICT (id) DO NOTHING RETURNING run
), planned AS (
    INSERT INTO slt_queue.entries (run, entry, name, pass, content, turn)
    SELECT made.run, t.place - 1, t.name, t.pass, t.content, 4611686018427387904 + t.place
    FROM made, unnest($6::text[], $7::int[], $8::text[]) WITH ORDINALITY AS t (name, pass, content, place)
)
SELECT run FROM made";

/// Adds a participant; with `$8`, a stopped run continues.
pub(super) const JOIN: &str = "
WITH joined AS (
    UPDATE slt_queue.runs SET workers = workers + 1, stopped = CASE WHEN $8 THEN NULL ELSE stopped END
    WHERE run = $1 RETURNING workers
), entered AS (
    INSERT INTO slt_queue.participants (run, worker, parent, label, place, lock, lease_until)
    SELECT $1, workers, $2, $3, $4, $5, clock_timestamp() + $6::int * interval '1 millisecond' FROM joined
), told AS (
    INSERT INTO slt_queue.events (run, worker, n, number, kind, body)
    SELECT $1, workers, 1, nextval('slt_queue.numbers'), 'join', $7 FROM joined
    UNION ALL SELECT $1, workers, 2, nextval('slt_queue.numbers'), 'resume', NULL FROM joined WHERE $8
    RETURNING number
)
SELECT workers, (SELECT min(number) FROM told) FROM joined";

/// Drops runs without participants: complete ones at once, incomplete ones after an hour. Keeps the `$2` latest runs.
pub(super) const DROP_OLD: &str = "
WITH past AS (
    SELECT r.run, r.plan_len FROM slt_queue.runs r ORDER BY r.begun_at DESC, r.run OFFSET $2
), over AS (
    SELECT past.run FROM past WHERE past.run <> $1 AND NOT EXISTS (
        SELECT FROM slt_queue.participants p WHERE p.run = past.run AND NOT p.gone AND p.lease_until > clock_timestamp()
    ) AND (
        (SELECT count(*) FROM slt_queue.entries e WHERE e.run = past.run AND e.state = 'final') = past.plan_len
        OR NOT EXISTS (
            SELECT FROM slt_queue.participants p
            WHERE p.run = past.run AND p.lease_until > clock_timestamp() - interval '1 hour')
    )
), dropped AS (DELETE FROM slt_queue.runs r USING over WHERE r.run = over.run RETURNING r.run
), entries AS (DELETE FROM slt_queue.entries e USING dropped WHERE e.run = dropped.run
), participants AS (DELETE FROM slt_queue.participants p USING dropped WHERE p.run = dropped.run
), events AS (DELETE FROM slt_queue.events v USING dropped WHERE v.run = dropped.run)
SELECT count(*) FROM dropped";

/// Whether the run exists and this participant takes part in it.
macro_rules! takes_part {
    () => {
        "EXISTS (SELECT FROM slt_queue.runs r JOIN slt_queue.participants p ON p.run = r.run
                 WHERE r.run = $1 AND p.worker = $2 AND NOT p.gone)"
    };
}

/// Gives the next waiting entry to this participant, if there is one.
macro_rules! claimed_if {
    ($condition:expr) => {
        concat!(
            "next AS (
                SELECT e.entry FROM slt_queue.entries e WHERE e.run = $1 AND e.state = 'waiting' AND ",
            $condition,
            " AND EXISTS (SELECT FROM slt_queue.runs r WHERE r.run = $1 AND r.stopped IS NULL)
                ORDER BY e.turn LIMIT 1 FOR UPDATE SKIP LOCKED
            ), claimed AS (
                UPDATE slt_queue.entries e
                SET state = 'leased', holder = $2, claimer = $2, attempts = e.attempts + 1,
                    sequence = nextval('slt_queue.numbers')
                FROM next WHERE e.run = $1 AND e.entry = next.entry
                RETURNING e.entry, e.attempts, e.sequence
            )"
        )
    };
}

/// Gives the entry its one outcome, if this participant holds its open lease.
macro_rules! closed {
    () => {
        concat!(
            "closed AS (
                UPDATE slt_queue.entries SET state = 'final', holder = NULL, outcome = $5
                WHERE run = $1 AND entry = $3 AND state = 'leased' AND holder = $2 AND sequence = $4 AND ",
            takes_part!(),
            " RETURNING entry, nextval('slt_queue.numbers') AS number
            )"
        )
    };
}

/// Claims the next entry, unless the run is stopped or this participant was declared lost.
pub(super) const CLAIM: &str = concat!(
    "WITH ",
    claimed_if!(takes_part!()),
    ", told AS (
        INSERT INTO slt_queue.events (run, worker, n, number, kind, entry)
        SELECT $1, $2, $3, sequence, 'claim', entry FROM claimed
    )
    SELECT entry, attempts, sequence FROM claimed"
);

/// The result of a claim that was sent before, if its reply was lost.
pub(super) const CLAIMED: &str = "
SELECT e.entry, e.attempts, v.number, e.state = 'leased' AND e.sequence = v.number
FROM slt_queue.events v JOIN slt_queue.entries e ON e.run = v.run AND e.entry = v.entry
WHERE v.run = $1 AND v.worker = $2 AND v.n = $3";

/// Why there was nothing to claim, or nothing to finish.
pub(super) const STATUS: &str = "
SELECT r.stopped, p.gone,
       EXISTS (SELECT FROM slt_queue.entries e WHERE e.run = $1 AND e.state = 'waiting') AS waiting,
       EXISTS (SELECT FROM slt_queue.entries e WHERE e.run = $1 AND e.state = 'leased') AS leased
FROM slt_queue.runs r JOIN slt_queue.participants p ON p.run = r.run
WHERE r.run = $1 AND r.plan_hash = $3 AND p.worker = $2";

/// The progress of the run, from this participant's view.
pub(super) const PROGRESS: &str = "
SELECT (SELECT count(*) FROM slt_queue.entries e WHERE e.run = $1 AND e.state = 'final'),
       EXISTS (SELECT FROM slt_queue.entries e WHERE e.run = $1 AND e.state = 'leased' AND e.holder <> $2),
       r.stopped IS NOT NULL
FROM slt_queue.runs r WHERE r.run = $1 AND r.plan_hash = $3";

pub(super) const FINISHED: &str = "SELECT count(*) FROM slt_queue.entries WHERE run = $1 AND state = 'final'";

/// Gives an entry its one outcome, if this participant holds the open lease.
pub(super) const FINISH: &str = concat!(
    "WITH ",
    closed!(),
    ", told AS (
        INSERT INTO slt_queue.events (run, worker, n, number, kind, entry)
        SELECT $1, $2, $6, number, 'finish', entry FROM closed
    )
    SELECT entry FROM closed"
);

/// [`FINISH`] and [`CLAIM`] in one statement. Returns a row if the first succeeded; its values are null if there is nothing to
/// claim.
pub(super) const FINISH_AND_CLAIM: &str = concat!(
    "WITH ",
    closed!(),
    ", ",
    claimed_if!("EXISTS (SELECT FROM closed)"),
    ", told AS (
        INSERT INTO slt_queue.events (run, worker, n, number, kind, entry)
        SELECT $1, $2, $6, number, 'finish', entry FROM closed
        UNION ALL SELECT $1, $2, $6::bigint + 1, sequence, 'claim', entry FROM claimed
    )
    SELECT claimed.entry, claimed.attempts, claimed.sequence FROM closed LEFT JOIN claimed ON true"
);

/// Gives the entry back for others to claim, if this participant holds the open lease.
pub(super) const REQUEUE: &str = concat!(
    "WITH closed AS (
        UPDATE slt_queue.entries
        SET state = 'waiting', holder = NULL, claimer = NULL, sequence = NULL, turn = nextval('slt_queue.numbers')
        WHERE run = $1 AND entry = $3 AND state = 'leased' AND holder = $2 AND sequence = $4 AND ",
    takes_part!(),
    " RETURNING entry, turn
    ), told AS (
        INSERT INTO slt_queue.events (run, worker, n, number, kind, entry, body, attempt)
        SELECT $1, $2, $7, turn, 'requeue', entry, $5, $6 FROM closed
    )
    SELECT entry FROM closed"
);

/// Like [`REQUEUE`], but neither the attempt nor the end of its worker counts.
pub(super) const RELEASE: &str = concat!(
    "WITH closed AS (
        UPDATE slt_queue.entries
        SET state = 'waiting', holder = NULL, claimer = NULL, sequence = NULL, turn = nextval('slt_queue.numbers'),
            attempts = attempts - 1, deaths = deaths - (holder <> claimer)::int
        WHERE run = $1 AND entry = $3 AND state = 'leased' AND holder = $2 AND sequence = $4 AND ",
    takes_part!(),
    " RETURNING entry, turn
    ), told AS (
        INSERT INTO slt_queue.events (run, worker, n, number, kind, entry, body)
        SELECT $1, $2, $6, turn, 'requeue', entry, $5 FROM closed
    )
    SELECT entry FROM closed"
);

pub(super) const STOP: &str = "
WITH halted AS (
    UPDATE slt_queue.runs SET stopped = $4 WHERE run = $1 AND stopped IS NULL AND EXISTS (
        SELECT FROM slt_queue.participants p WHERE p.run = $1 AND p.worker = $2 AND NOT p.gone)
    RETURNING run
), told AS (
    INSERT INTO slt_queue.events (run, worker, n, number, kind, body)
    SELECT $1, $2, $3, nextval('slt_queue.numbers'), 'stop', $4 FROM halted
)
SELECT run FROM halted";

/// Whether an event of this participant exists.
pub(super) const HAPPENED: &str = "SELECT n FROM slt_queue.events WHERE run = $1 AND worker = $2 AND n = $3";

/// All other participants that hold leases, and their supervisors: whether each has a session, and for how long its heartbeat
/// is overdue. While a worker's supervisor runs, only the supervisor declares the worker lost: a worker with a lost
/// connection may be in the middle of a file.
pub(super) const HOLDERS: &str = concat!(
    "WITH ",
    held!(),
    ", holders AS (
        SELECT DISTINCT holder AS worker FROM slt_queue.entries WHERE run = $1 AND state = 'leased' AND holder <> $2
    )
    SELECT p.worker, p.parent, p.place, p.gone, h.worker IS NOT NULL AS holds,
           p.lease_until < clock_timestamp() OR p.lock NOT IN (SELECT key FROM held) AS missing,
           p.missed_at IS NOT NULL AS marked,
           coalesce(p.missed_at < clock_timestamp() - $3::int * interval '1 millisecond', false) AND NOT EXISTS (
               SELECT FROM slt_queue.participants q WHERE q.run = $1 AND q.worker = p.parent AND NOT q.gone) AS overdue
    FROM slt_queue.participants p LEFT JOIN holders h ON h.worker = p.worker
    WHERE p.run = $1 AND p.worker <> $2 AND (h.worker IS NOT NULL OR p.worker IN (
        SELECT q.parent FROM slt_queue.participants q JOIN holders ON q.run = $1 AND q.worker = holders.worker))
    ORDER BY p.worker"
);

pub(super) const MARK: &str = "
UPDATE slt_queue.participants SET missed_at = clock_timestamp()
WHERE run = $1 AND worker = ANY($2) AND missed_at IS NULL AND NOT gone";

/// Declares participants lost: those in `$2` in any case, because they are known to be; those in `$3` only if they are still
/// missing.
pub(super) const BURY: &str = "
UPDATE slt_queue.participants SET gone = true
WHERE run = $1 AND NOT gone AND (worker = ANY($2)
    OR (worker = ANY($3) AND missed_at < clock_timestamp() - $4::int * interval '1 millisecond'))
RETURNING worker";

/// Ends the remaining sessions of participants declared lost.
pub(super) const END: &str = concat!(
    "WITH ",
    held!(),
    " SELECT pg_terminate_backend(held.pid) FROM held JOIN slt_queue.participants p ON p.lock = held.key
    WHERE p.run = $1 AND p.worker = ANY($2) AND p.gone"
);

/// The workers that claimed the entries whose leases lost participants hold.
pub(super) const CLAIMERS: &str = "
SELECT DISTINCT claimer FROM slt_queue.entries WHERE run = $1 AND state = 'leased' AND holder = ANY($2)";

/// Whether the participant that claimed an entry had another supervisor than the caller, and that supervisor is gone too.
macro_rules! orphaned {
    ($claimer:expr) => {
        concat!(
            "EXISTS (SELECT FROM slt_queue.participants c JOIN slt_queue.participants s ON s.run = c.run AND s.worker = c.parent
                     WHERE c.run = $1 AND c.worker = ",
            $claimer,
            " AND s.worker <> $2 AND s.gone)"
        )
    };
}

/// Takes over all leases of lost participants. `$4` and `$5` contain the record that each of the claiming workers was running.
pub(super) const TAKE: &str = concat!(
    "WITH taken AS (
        UPDATE slt_queue.entries e
        SET holder = $2, deaths = e.deaths + (e.holder = e.claimer)::int, sequence = nextval('slt_queue.numbers')
        WHERE e.run = $1 AND e.state = 'leased' AND e.holder = ANY($3) AND ",
    takes_part!(),
    " AND NOT EXISTS (
            SELECT FROM slt_queue.participants p WHERE p.run = $1 AND p.worker = e.holder AND NOT p.gone)
        RETURNING e.entry, e.claimer, e.attempts, e.deaths, e.sequence
    ), told AS (
        INSERT INTO slt_queue.events (run, worker, n, number, kind, entry, other, body)
        SELECT $1, $2, $6 + row_number() OVER (ORDER BY t.entry) - 1, t.sequence, 'lost', t.entry, t.claimer, r.last
        FROM taken t LEFT JOIN unnest($4::int[], $5::text[]) AS r (worker, last) ON r.worker = t.claimer
    )
    SELECT entry, claimer, attempts, deaths, sequence, ",
    orphaned!("taken.claimer"),
    " FROM taken ORDER BY entry"
);

/// The result of a take-over that was sent before, if its reply was lost.
pub(super) const TAKEN: &str = concat!(
    "SELECT e.entry, v.other, e.attempts, e.deaths, v.number, ",
    orphaned!("v.other"),
    " FROM slt_queue.events v JOIN slt_queue.entries e ON e.run = v.run AND e.entry = v.entry
    WHERE v.run = $1 AND v.worker = $2 AND v.n >= $3 AND v.kind = 'lost' ORDER BY e.entry"
);

/// How many events of each participant had happened before the event with that number.
pub(super) const BEFORE: &str =
    "SELECT worker, max(n) FROM slt_queue.events WHERE run = $1 AND number < $2 GROUP BY worker";

/// The events that are new to a participant that knows `$3` events of each participant in `$2`, and all events of
/// others.
///
/// Events of one participant become visible in their order, because its transactions follow one another. Events of different
/// participants may not: their numbers only sort those that are visible.
/// across participants: the numbers only sort what is visible.
pub(super) const NEWS: &str = "
SELECT v.worker, v.n, v.kind, v.entry, v.other, v.body,
       CASE v.kind WHEN 'finish' THEN
           (SELECT e.outcome FROM slt_queue.entries e WHERE e.run = $1 AND e.entry = v.entry)
       END AS outcome
FROM (
    -- Looked up for each participant, however few rows the server believes there are to read at once.
    SELECT new.* FROM unnest($2::int[], $3::bigint[]) AS known (worker, n) CROSS JOIN LATERAL (
        SELECT v.* FROM slt_queue.events v WHERE v.run = $1 AND v.worker = known.worker AND v.n > known.n OFFSET 0
    ) new
    UNION ALL SELECT v.* FROM slt_queue.events v WHERE v.run = $1 AND v.worker > $4
) v ORDER BY v.number";

/// The state of the whole run at one moment.
pub(super) const SNAPSHOT: &str = "
SELECT r.workers, r.stopped, r.plan_len, e.entry, e.state, e.attempts, e.deaths, e.holder, e.outcome, e.name, e.pass,
       (SELECT array_agg(v.attempt ORDER BY v.number) FROM slt_queue.events v
        WHERE v.run = $1 AND v.entry = e.entry AND v.attempt IS NOT NULL) AS earlier
FROM slt_queue.runs r LEFT JOIN slt_queue.entries e ON e.run = r.run
WHERE r.run = $1 AND r.plan_hash = $2 ORDER BY e.entry";
