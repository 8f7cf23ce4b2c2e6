//! Generated packets: well-formed ones of every kind, fixtures, and what mutation makes of both.
//!
//! A packet is made from a [`Recipe`]: a number that chooses the packet to begin with, and a number for each mutation.
//! So a packet can be made again from what a failure prints, and a property test can shrink it by leaving mutations out.
//! The same recipe gives the same packet on every machine.

mod dice;
mod mutation;
mod packets;
mod stream;

use std::env;

use anyhow::{Context as _, Result};

pub use self::{dice::Dice, stream::Stream};
use crate::fixtures;

/// The seed in `DETECTOR_TEST_SEED`, or else `usual`.
pub fn seed_or(usual: u64) -> Result<u64> {
    match env::var("DETECTOR_TEST_SEED") {
        Ok(seed) => seed.parse().context("DETECTOR_TEST_SEED is not a number"),
        Err(_) => Ok(usual),
    }
}

/// How a packet is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Chooses the packet to begin with.
    pub packet: u64,
    /// Chooses what is done to it, one after another.
    pub mutations: Vec<u64>,
}

impl Recipe {
    /// A recipe; two of three packets are mutated, mostly once.
    pub fn roll(dice: &mut Dice) -> Self {
        let count = [0, 1, 1, 0, 2, 4][dice.below(6)];
        Self {
            packet: dice.roll(),
            mutations: (0..count).map(|_| dice.roll()).collect(),
        }
    }
}

/// Makes packets from recipes.
pub struct Kitchen {
    fixtures: Vec<Vec<u8>>,
}

impl Kitchen {
    /// A kitchen, stocked with the fixtures.
    #[must_use]
    pub fn new() -> Self {
        let fixtures = fixtures::all().into_iter();
        Self {
            fixtures: fixtures.map(|fixture| fixture.frame).collect(),
        }
    }

    /// The packet of a recipe, at most `longest` bytes.
    #[must_use]
    pub fn make(&self, recipe: &Recipe, longest: usize) -> Vec<u8> {
        let mut frame = self.begin(&mut Dice::new(recipe.packet));
        for mutation in &recipe.mutations {
            let mut dice = Dice::new(*mutation);
            let other = self.begin(&mut dice);
            mutation::apply(&mut frame, &other, &mut dice);
        }
        frame.truncate(longest);
        frame
    }

    fn begin(&self, dice: &mut Dice) -> Vec<u8> {
        if dice.one_in(4) {
            self.fixtures[dice.below(self.fixtures.len())].clone()
        } else {
            packets::any(dice).build()
        }
    }
}

impl Default for Kitchen {
    fn default() -> Self {
        Self::new()
    }
}
