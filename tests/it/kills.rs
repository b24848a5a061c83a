//! Hundreds of worker processes are killed at random moments: each file still has one outcome.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::faulty_support::{Place, runs, signal, workers_of};

const FILES: usize = 60;

/// Kills `SLT_TEST_KILLS` workers, or else this many.
const KILLS: u32 = 300;

#[test]
fn hundreds_of_killed_workers_leave_each_file_one_outcome() {
    let wanted = match std::env::var("SLT_TEST_KILLS") {
        Ok(text) => text.parse().expect("SLT_TEST_KILLS is a number"),
        Err(_) => KILLS,
    };
    let count =
        "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT count(*) FROM n";
    let mut kills = 0;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    while kills < wanted {
        let place = Place::with_many(FILES, &runs(count));
        let mut run = place.start("--workers 4 --crash-retries 1000");
        let begun = Instant::now();
        while !run.is_over() {
            // Half of the time in quick succession, so that workers also end before they run anything.
            let most = if random(2) == 0 { 2_000 } else { 20_000 };
            std::thread::sleep(Duration::from_micros(random(most)));
            let workers = workers_of(run.pid());
            if workers.is_empty() || begun.elapsed() > Duration::from_secs(5) {
                continue;
            }
            signal(workers[random(workers.len() as u64) as usize], Signal::KILL);
            kills += 1;
        }
        let ended = run.wait().exits(0);
        let mut verdicts = ended.verdicts();
        assert!(verdicts.iter().all(|(_, verdict)| *verdict == "ok" || verdict.starts_with("flaky")), "{ended}");
        verdicts.sort_unstable();
        verdicts.dedup_by_key(|(name, _)| *name);
        assert_eq!((verdicts.len(), ended.verdicts().len()), (FILES, FILES), "{ended}");
        assert_eq!(place.alive(), Vec::<String>::new());
    }
    println!("{kills} kills");
}
