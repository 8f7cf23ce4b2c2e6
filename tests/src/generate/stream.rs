//! Packets without end, as fast as the kernel runs them: from a stock that is renewed little by little, most of them mutated.
//!
//! Making a packet takes longer than running it. So each is a copy of one in stock with a mutation or none, and only
//! one in some dozen is made anew.

use super::{Dice, Kitchen, Recipe, mutation};

/// Packets in stock beside the captured ones.
const STOCK: usize = 4096;
/// One packet of so many is made anew.
const RENEWED: usize = 32;
/// One packet of so many is a captured one, if there are any.
const CAPTURED: usize = 4;

/// The packets of a seed.
pub struct Stream {
    kitchen: Kitchen,
    dice: Dice,
    longest: usize,
    made: Vec<Vec<u8>>,
    captured: Vec<Vec<u8>>,
    frame: Vec<u8>,
}

impl Stream {
    /// The packets of `seed`, from made and from `captured` ones, each at most `longest` bytes.
    #[must_use]
    pub fn new(seed: u64, mut captured: Vec<Vec<u8>>, longest: usize) -> Self {
        for frame in &mut captured {
            frame.truncate(longest);
        }
        let kitchen = Kitchen::new();
        let mut dice = Dice::new(seed);
        let made = (0..STOCK)
            .map(|_| kitchen.make(&Recipe::roll(&mut dice), longest))
            .collect();
        Self {
            kitchen,
            dice,
            longest,
            made,
            captured,
            frame: Vec::new(),
        }
    }

    /// The next packet.
    pub fn next_frame(&mut self) -> &[u8] {
        let dice = &mut self.dice;
        let place = dice.below(STOCK);
        if dice.one_in(RENEWED)
            && let Some(frame) = self.made.get_mut(place)
        {
            *frame = self.kitchen.make(&Recipe::roll(dice), self.longest);
        }
        let stock = if !self.captured.is_empty() && dice.one_in(CAPTURED) {
            &self.captured
        } else {
            &self.made
        };
        let any = |dice: &mut Dice| {
            stock
                .get(dice.below(stock.len()))
                .map_or(&[][..], Vec::as_slice)
        };
        self.frame.clear();
        self.frame.extend_from_slice(any(dice));
        if dice.one_in(2) {
            mutation::apply(&mut self.frame, any(dice), dice);
            self.frame.truncate(self.longest);
        }
        &self.frame
    }
}
