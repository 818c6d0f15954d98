//! What the words of the fast path are made of: the head of a pool's stack, and a slot's lease word.

/// How many bits name a slot, and how many its generation. Together with the four that say what a
/// handle is of, they fill a pointer.
pub const INDEX_BITS: u32 = if usize::BITS >= 64 { 24 } else { 14 };
pub const GENERATION_BITS: u32 = usize::BITS - 4 - INDEX_BITS;
/// A slot that was leased so often is not used again.
pub const LAST_GENERATION: u64 = (1 << GENERATION_BITS) - 1;

/// The next slot in the stack, if there is one, and whether its connection is unopened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(u32);

impl Link {
    pub const NONE: Link = Link(0);

    pub fn to(index: u32, is_unopened: bool) -> Link {
        Link((index + 1) << 1 | u32::from(is_unopened))
    }

    #[inline]
    pub fn index(self) -> Option<u32> {
        (self.0 >> 1).checked_sub(1)
    }

    #[inline]
    pub fn is_unopened(self) -> bool {
        self.0 & 1 != 0
    }

    #[inline]
    pub fn from_bits(bits: u64) -> Link {
        Link(bits as u32 & ((1 << LINK_BITS) - 1))
    }

    #[inline]
    pub fn bits(self) -> u64 {
        u64::from(self.0)
    }
}

/// One more than a slot's index has, since 0 is none, and the bit for an unopened connection.
const LINK_BITS: u32 = 26;
const TAG_SHIFT: u32 = 29;

/// The head of a stack: its top, what does not go the fast way, and a tag that is another each time,
/// so that a head that was seen before is not taken for one that has come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head(pub u64);

/// What a head says besides its top.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u64);

impl Flags {
    pub const NONE: Flags = Flags(0);
    /// The machine has the slots: nothing goes the fast way.
    pub const DRAWN: Flags = Flags(1 << LINK_BITS);
    /// The machine must hear of the next opened connection that comes back.
    pub const TELL_OPENED: Flags = Flags(1 << (LINK_BITS + 1));
    /// The same of an unopened one.
    pub const TELL_UNOPENED: Flags = Flags(1 << (LINK_BITS + 2));

    pub fn and_if(self, condition: bool, other: Flags) -> Flags {
        if condition { Flags(self.0 | other.0) } else { self }
    }

    #[inline]
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }
}

impl Head {
    #[inline]
    pub fn top(self) -> Link {
        Link::from_bits(self.0)
    }

    #[inline]
    pub fn flags(self) -> Flags {
        Flags(self.0 & ((1 << TAG_SHIFT) - (1 << LINK_BITS)))
    }

    /// The head that follows this one.
    #[inline]
    pub fn next(self, top: Link, flags: Flags) -> Head {
        Head(((self.0 >> TAG_SHIFT) + 1) << TAG_SHIFT | flags.0 | top.bits())
    }

    /// Whether a connection that comes back may be pushed. Opened ones stay above unopened ones.
    #[inline]
    pub fn takes(self, link: Link) -> bool {
        let (refused, is_in_order) = if link.is_unopened() {
            (Flags::TELL_UNOPENED, self.top() == Link::NONE || self.top().is_unopened())
        } else {
            (Flags::TELL_OPENED, true)
        };
        !self.flags().has(refused.and_if(true, Flags::DRAWN)) && is_in_order
    }
}

/// A slot's lease word: its generation, and what became of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseWord(pub u64);

impl LeaseWord {
    /// Somebody has the connection.
    pub const LEASED: u64 = 1;
    /// A [`Lease`](crate::pool::Lease) ends the lease, and nothing else.
    pub const HELD: u64 = 2;
    /// The machine must hear of the release.
    pub const MARKED: u64 = 4;
    pub const UNOPENED: u64 = 8;
    /// It was the last generation.
    pub const SPENT: u64 = 16;
    /// The pool closed and took the lease away, of which only a handle was known.
    pub const CUT: u64 = 32;
    const SHIFT: u32 = 28;

    #[inline]
    pub fn new(generation: u64, bits: u64) -> LeaseWord {
        LeaseWord(generation << Self::SHIFT | bits)
    }

    #[inline]
    pub fn generation(self) -> u64 {
        self.0 >> Self::SHIFT
    }

    #[inline]
    pub fn has(self, bits: u64) -> bool {
        self.0 & bits == bits
    }

    #[inline]
    pub fn with(self, bits: u64) -> LeaseWord {
        LeaseWord(self.0 | bits)
    }

    /// Whether the lease of this generation has ended, and nothing has happened since.
    pub fn follows(self, generation: u64) -> bool {
        let ended = LeaseWord::new(generation, 0).ended();
        let relevant = !(Self::MARKED | Self::UNOPENED);
        self.0 & relevant == ended.0 & relevant
    }

    /// Whether there is no generation after it.
    #[inline]
    pub fn is_last(self) -> bool {
        self.generation() == LAST_GENERATION
    }

    /// As [`LeaseWord::ended`], where the generation is not the last.
    #[inline]
    pub fn ended_before_last(self) -> LeaseWord {
        let kept = self.0 & (Self::MARKED | Self::UNOPENED);
        LeaseWord::new(self.generation() + 1, kept)
    }

    /// The word once this lease has ended: of the next generation.
    #[inline]
    pub fn ended(self) -> LeaseWord {
        if !self.is_last() {
            self.ended_before_last()
        } else {
            let kept = self.0 & (Self::MARKED | Self::UNOPENED);
            LeaseWord::new(self.generation(), kept | Self::SPENT | Self::MARKED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_head_do_not_disturb_each_other() {
        let last = Link::to((1 << INDEX_BITS) - 1, true);
        let flags = Flags::TELL_OPENED.and_if(true, Flags::TELL_UNOPENED);
        let mut head = Head(u64::MAX << TAG_SHIFT);
        for (top, flags) in
            [(last, flags), (Link::NONE, Flags::DRAWN), (Link::to(0, false), Flags::NONE)]
        {
            let next = head.next(top, flags);
            assert_ne!(next.0 >> TAG_SHIFT, head.0 >> TAG_SHIFT);
            assert_eq!((next.top(), next.flags()), (top, flags));
            head = next;
        }
        assert_eq!(last.index(), Some((1 << INDEX_BITS) - 1));
        assert_eq!(Link::NONE.index(), None);
    }

    #[test]
    fn a_lease_word_of_the_last_generation_is_spent() {
        let word = LeaseWord::new(LAST_GENERATION - 1, LeaseWord::LEASED | LeaseWord::UNOPENED);
        assert_eq!(word.ended(), LeaseWord::new(LAST_GENERATION, LeaseWord::UNOPENED));
        let last = word.ended().ended();
        assert_eq!(last.generation(), LAST_GENERATION);
        assert!(last.has(LeaseWord::SPENT | LeaseWord::MARKED) && !last.has(LeaseWord::LEASED));
    }
}
