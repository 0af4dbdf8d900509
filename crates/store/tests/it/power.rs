//! G3: a power cut. What was not synced may be on the disk, or not, or in part, sector by sector and in any order.

use std::path::{Path, PathBuf};
use std::process::Command;

use autoshare_store::Durability;

use crate::{House, brain, note};

/// What a disk writes at once.
const SECTOR: usize = 512;
const IMAGES: u64 = 40;

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Journal and log as they are now. Another process looks: one that closes a file of SQLite loses its locks.
fn look(data: &Path, at: &Path) -> [Vec<u8>; 2] {
    let _ = std::fs::remove_dir_all(at);
    std::fs::create_dir(at).unwrap();
    let files = ["journal.db", "journal.db-wal"];
    for file in files {
        let from = data.join("tenants/local").join(file);
        assert!(Command::new("cp").args([&from, &at.join(file)]).status().unwrap().success());
    }
    files.map(|file| std::fs::read(at.join(file)).unwrap())
}

/// What a cut may leave of a file: of each sector the synced state or the later one, and of one perhaps half and half.
fn torn(synced: &[u8], now: &[u8], dice: &mut Dice) -> Vec<u8> {
    // All of it, nothing of it, or anything between; and cut anywhere.
    let odds = match dice.roll() % 6 {
        0 => 101,
        1 => 0,
        _ => dice.roll() % 102,
    };
    let len = match dice.roll() % 3 {
        0 => now.len(),
        1 => synced.len(),
        _ => synced.len() + (dice.roll() as usize) % (now.len() - synced.len() + 1),
    };
    let half = (dice.roll() as usize) % (2 * now.len().div_ceil(SECTOR));
    let mut file = synced.to_vec();
    // Where a file grew and nothing was written yet there are zeros.
    file.resize(len.max(synced.len()), 0);
    for (number, sector) in file.chunks_mut(SECTOR).enumerate() {
        let later = now.get(number * SECTOR..).unwrap_or_default();
        let later = &later[..later.len().min(sector.len())];
        if number == half {
            let middle = later.len() / 2;
            sector[..middle].copy_from_slice(&later[..middle]);
        } else if dice.roll() % 101 < odds {
            sector[..later.len()].copy_from_slice(later);
        }
    }
    file
}

#[test]
fn g3_after_a_power_cut_what_was_synced_is_there_and_of_the_rest_a_beginning() {
    let dir = crate::tempdir();
    let (data, image): (PathBuf, PathBuf) = (dir.path().join("data"), dir.path().join("image"));
    let house = House::open(&data);
    let lease = house.create(&brain(1));
    let mut dice = Dice(7);
    let mut written = Vec::new();
    let (mut whole, mut parts, mut bare) = (0, 0, 0);
    for round in 0..4 {
        // Lazy appends before a synced one are synced with it.
        for durability in [Durability::Lazy, Durability::Lazy, Durability::Synced] {
            let text = format!("{round} {durability:?} {}", "s".repeat(2000));
            house.store.append(&house.access, &lease, &[note(&text)], durability).unwrap();
            written.push(text);
        }
        let (least, synced) = (written.len(), look(&data, &dir.path().join("look")));
        for n in 0..8 {
            let text = format!("{round} lazy {n} {}", "l".repeat(n * 700));
            house.store.append(&house.access, &lease, &[note(&text)], Durability::Lazy).unwrap();
            written.push(text);
        }
        let now = look(&data, &dir.path().join("look"));
        assert!(now[0] == synced[0] && now[1].len() >= synced[1].len() && now[1] != synced[1], "the log alone grows");
        for number in 0..IMAGES {
            let _ = std::fs::remove_dir_all(&image);
            assert!(Command::new("cp").arg("-a").args([&data, &image]).status().unwrap().success());
            let tenant = image.join("tenants/local");
            // The index of the log is memory.
            std::fs::remove_file(tenant.join("journal.db-shm")).unwrap();
            std::fs::write(tenant.join("journal.db-wal"), torn(&synced[1], &now[1], &mut dice)).unwrap();
            let after = House::open(&image);
            let texts = after.texts(&brain(1)).unwrap_or_else(|error| panic!("round {round}, image {number}: {error}"));
            assert!(texts.len() >= least, "round {round}, image {number}: {} of {least} synced", texts.len());
            assert_eq!(texts, written[..texts.len()], "round {round}, image {number}: not a beginning");
            match texts.len() {
                len if len == written.len() => whole += 1,
                len if len == least => bare += 1,
                _ => parts += 1,
            }
            // And it goes on from there.
            after.append(&after.lease(&brain(1)), "on").unwrap();
            assert_eq!(after.texts(&brain(1)).unwrap().len(), texts.len() + 1);
        }
    }
    assert!(whole > 0 && parts > 0 && bare > 10, "{whole} whole, {parts} in part, {bare} bare");
}

#[test]
fn g3_the_control_a_log_that_lost_what_was_synced_is_noticed_by_this_test() {
    let dir = crate::tempdir();
    let (data, image) = (dir.path().join("data"), dir.path().join("image"));
    let house = House::open(&data);
    let lease = house.create(&brain(1));
    house.append(&lease, "one").unwrap();
    let before = look(&data, &dir.path().join("look"));
    house.append(&lease, "two").unwrap();
    assert!(Command::new("cp").arg("-a").args([&data, &image]).status().unwrap().success());
    std::fs::remove_file(image.join("tenants/local/journal.db-shm")).unwrap();
    std::fs::write(image.join("tenants/local/journal.db-wal"), &before[1]).unwrap();
    assert_eq!(House::open(&image).texts(&brain(1)).unwrap(), ["one"], "a disk that lies about syncing");
}
