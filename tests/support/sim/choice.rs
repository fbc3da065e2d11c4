//! Who decides what a crash leaves: every possibility in turn, or a seeded generator.

use super::storage::Fate;
use fastrand::Rng;

/// Answers the questions of one crash.
pub trait Choose {
    /// A number below `count`.
    fn among(&mut self, count: usize) -> usize;

    /// What becomes of a stretch of so many bytes.
    fn fate(&mut self, bytes: usize) -> Fate;
}

/// A number below `count`, the same on machines of any width.
pub fn below(random: &mut Rng, count: usize) -> usize {
    random.u64(..count as u64) as usize
}

/// Any fate, torn anywhere.
impl Choose for Rng {
    fn among(&mut self, count: usize) -> usize {
        below(self, count)
    }

    fn fate(&mut self, bytes: usize) -> Fate {
        match self.u8(..10) {
            0..3 => Fate::Lost,
            3..6 => Fate::Kept,
            6 => Fate::Extended(below(self, bytes + 1)),
            // Not less than 16 bytes: magic and version are one field, and half of it may look like a newer version.
            7 => Fate::Sectors([16, 64, 512, 4096][below(self, 4)], self.u64(..)),
            _ => Fate::Torn(below(self, bytes + 1)),
        }
    }
}

/// The same fate for every stretch, and the same for names and removals: kept or lost.
pub struct All(pub Fate);

impl Choose for All {
    fn among(&mut self, _: usize) -> usize {
        usize::from(self.0 != Fate::Lost)
    }

    fn fate(&mut self, _: usize) -> Fate {
        self.0.clone()
    }
}

/// The same fate for every stretch, and another one for names and removals: 0 for lost, 1 for kept.
pub struct Fixed(pub Fate, pub usize);

impl Choose for Fixed {
    fn among(&mut self, _: usize) -> usize {
        self.1
    }

    fn fate(&mut self, _: usize) -> Fate {
        self.0.clone()
    }
}

/// Every combination of answers, one after the other: the path through the questions counts up. Every subset of the
/// stretches is lost, and every subset with one of the others torn in every way.
#[derive(Clone, Debug, Default)]
pub struct Every {
    /// Answer and count of each question.
    path: Vec<(usize, usize)>,
    asked: usize,
    torn: bool,
}

impl Every {
    /// Hands every combination to `each`, which has to ask its questions.
    pub fn combination(mut each: impl FnMut(&mut Every)) {
        let mut every = Every::default();
        loop {
            each(&mut every);
            if !every.advance() {
                return;
            }
        }
    }

    /// What tells this combination from the others: its answers up to the last that is not the first possible.
    pub fn name(&self) -> String {
        self.path.iter().map(|(answer, _)| answer.to_string()).collect::<Vec<_>>().join(".")
    }

    /// Goes on to the next combination; false after the last.
    fn advance(&mut self) -> bool {
        self.path.truncate(self.asked);
        (self.asked, self.torn) = (0, false);
        while let Some((answer, count)) = self.path.pop() {
            if answer + 1 < count {
                self.path.push((answer + 1, count));
                return true;
            }
        }
        false
    }
}

impl Choose for Every {
    fn among(&mut self, count: usize) -> usize {
        if self.asked == self.path.len() {
            self.path.push((0, count));
        }
        self.asked += 1;
        let (answer, known) = self.path[self.asked - 1];
        assert_eq!(known, count, "the same questions in the same order");
        answer
    }

    fn fate(&mut self, bytes: usize) -> Fate {
        let answer = self.among(if self.torn { 2 } else { 5 });
        self.torn |= answer > 1;
        match answer {
            0 => Fate::Lost,
            1 => Fate::Kept,
            2 => Fate::Torn(bytes / 2),
            3 => Fate::Torn(bytes.saturating_sub(1)),
            _ => Fate::Extended(0),
        }
    }
}
