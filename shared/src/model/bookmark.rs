//! Where one is in a list that a registry gives page by page, and whether that list ever ends.
//!
//! A bookmark is small and serialisable: it travels in a job, so that whoever takes the job goes on where the
//! last one stopped. It also notices lists that go in circles: the cursor and the first name of one page are
//! kept at pages 1, 2, 4, 8 …, so that a circle of any length is found before it was walked three times (Brent).

use serde::{Deserialize, Serialize};

/// The query of the next page as the registry wrote it: opaque, bounded, visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor(String);

/// Why a text is no cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the query of the next page has {0} bytes or characters that no query has")]
pub struct CursorError(usize);

const LONGEST_CURSOR: usize = 2048;

impl Cursor {
    /// The query without its question mark.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Cursor {
    type Error = CursorError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let legal = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
        if text.len() <= LONGEST_CURSOR && text.bytes().all(legal) {
            Ok(Self(text))
        } else {
            Err(CursorError(text.len()))
        }
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.0
    }
}

/// How the next page is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "with", rename_all = "snake_case")]
pub enum Turn {
    /// It is the first page.
    #[default]
    Start,
    /// As the registry said in its `Link` header.
    Link(Cursor),
    /// The page was full and the registry said nothing: what comes after this name?
    After(String),
}

/// Where one is in a paged list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Which page.
    turn: Turn,
    /// The last name of that page that is done with, if the page is not done with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<String>,
    /// Pages and names before this place.
    pages: u32,
    names: u32,
    /// The page to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compared: Option<Landmark>,
}

/// What one page looked like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Landmark {
    turn: Turn,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first: Option<String>,
}

/// Why a list cannot be followed to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Endless {
    /// A page came again.
    #[error("it repeats itself: page {0} is one that came before")]
    Repeats(u32),
    /// More names than anybody has.
    #[error("it has more than {0} names")]
    TooManyNames(u32),
    /// More pages than anybody has.
    #[error("it has more than {0} pages")]
    TooManyPages(u32),
}

/// The most names of one list that are followed.
pub const MOST_NAMES: u32 = 200_000;
/// The most pages of one list that are followed.
pub const MOST_PAGES: u32 = 20_000;

impl Bookmark {
    /// How the page of this place is asked for.
    pub fn turn(&self) -> &Turn {
        &self.turn
    }

    /// What of a page is still to be done, given the names of the whole page.
    ///
    /// A name that has vanished since makes the page begin anew: what was done before is done again, nothing is missed.
    pub fn unread<'a>(&self, page: &'a [String]) -> &'a [String] {
        let done = self.within.as_ref().and_then(|within| page.iter().position(|name| name == within));
        &page[done.map_or(0, |at| at + 1)..]
    }

    /// The place after `taken` names on the same page, of which `last` was the last.
    pub fn further(&self, taken: usize, last: &str) -> Result<Self, Endless> {
        let names = self.counted(taken)?;
        Ok(Self { within: Some(last.to_owned()), names, ..self.clone() })
    }

    /// The beginning of the next page, after a page that began with `first` and of which `taken` names were left.
    pub fn page_after(&self, taken: usize, first: Option<&str>, turn: Turn) -> Result<Self, Endless> {
        let (names, pages) = (self.counted(taken)?, self.pages + 1);
        if pages > MOST_PAGES {
            return Err(Endless::TooManyPages(MOST_PAGES));
        }
        let here = Landmark { turn: self.turn.clone(), first: first.map(str::to_owned) };
        let again = self.compared.as_ref().is_some_and(|known| {
            known.turn == turn
                || (known.first.is_some() && known.first == here.first && known.turn != here.turn)
        });
        if again || turn == self.turn {
            return Err(Endless::Repeats(pages));
        }
        let compared = if pages.is_power_of_two() { Some(here) } else { self.compared.clone() };
        Ok(Self { turn, within: None, pages, names, compared })
    }

    fn counted(&self, taken: usize) -> Result<u32, Endless> {
        let names = self.names.saturating_add(u32::try_from(taken).unwrap_or(u32::MAX));
        if names > MOST_NAMES { Err(Endless::TooManyNames(MOST_NAMES)) } else { Ok(names) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn link(number: u32) -> Turn {
        Turn::Link(format!("page={number}").try_into().unwrap())
    }

    /// Follows pages that name their successors; how many pages were read until the end or an error.
    fn follow(
        next: impl Fn(u32) -> Option<u32>,
        first: impl Fn(u32) -> Option<String>,
    ) -> (u32, Option<Endless>) {
        let (mut bookmark, mut page, mut read) = (Bookmark::default(), 0, 0);
        loop {
            read += 1;
            let Some(successor) = next(page) else { return (read, None) };
            match bookmark.page_after(3, first(page).as_deref(), link(successor)) {
                Ok(next) => (bookmark, page) = (next, successor),
                Err(endless) => return (read, Some(endless)),
            }
        }
    }

    #[test]
    fn a_cursor_is_bounded_and_visible() {
        for (text, accepted) in [
            ("n=100&last=team%2Fapp".to_owned(), true),
            (String::new(), true),
            ("x".repeat(2048), true),
            ("x".repeat(2049), false),
            ("n=1\r\nHost: evil".to_owned(), false),
            ("n=1 2".to_owned(), false),
            ("n=1#x".to_owned(), false),
            ("n=\u{e4}".to_owned(), false),
        ] {
            assert_eq!(Cursor::try_from(text.clone()).is_ok(), accepted, "{text:?}");
        }
    }

    #[test]
    fn a_page_larger_than_asked_for_is_read_in_parts_and_nothing_of_it_twice() {
        let page: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        let start = Bookmark::default();
        let second = start.further(2, "b").unwrap();
        assert_eq!(second.unread(&page), ["c", "d", "e"]);
        assert_eq!(second.turn(), start.turn());
        let elsewhere = second.further(1, "gone since").unwrap();
        assert_eq!(elsewhere.unread(&page), page, "rather twice than never");
    }

    #[test]
    fn a_list_of_fresh_pages_with_the_same_names_is_noticed() {
        let (read, end) = follow(|page| Some(page + 1), |_| Some("same".to_owned()));
        assert!(matches!(end, Some(Endless::Repeats(_))) && read <= 3, "{read} {end:?}");
    }

    #[test]
    fn a_list_that_never_repeats_and_never_ends_is_left_at_its_limit() {
        let (_, end) = follow(|page| Some(page + 1), |_| None);
        assert_eq!(end, Some(Endless::TooManyPages(MOST_PAGES)));
    }

    proptest! {
        #[test]
        fn circles_of_any_length_are_found_soon(before in 0_u32..200, length in 1_u32..200) {
            let next = |page| Some(if page + 1 == before + length { before } else { page + 1 });
            let (read, end) = follow(next, |page| Some(format!("name-{page}")));
            prop_assert!(matches!(end, Some(Endless::Repeats(_))));
            prop_assert!(read <= 3 * (before + length) + 3, "{read}");
        }

        #[test]
        fn no_list_that_ends_is_taken_for_a_circle(pages in 1_u32..2000) {
            let next = |page| (page + 1 < pages).then_some(page + 1);
            let (read, end) = follow(next, |page| Some(format!("name-{page}")));
            prop_assert_eq!((read, end), (pages, None));
        }

        #[test]
        fn a_bookmark_survives_its_journey(pages in 0_u32..40, within in proptest::option::of("[a-z]{1,9}")) {
            let mut bookmark = Bookmark::default();
            for page in 0..pages {
                bookmark = bookmark.page_after(1, Some(&format!("n{page}")), link(page)).unwrap();
            }
            if let Some(within) = within {
                bookmark = bookmark.further(1, &within).unwrap();
            }
            let text = serde_json::to_string(&bookmark).unwrap();
            prop_assert_eq!(serde_json::from_str::<Bookmark>(&text).unwrap(), bookmark);
        }
    }
}
