//! Guesses which setting a misspelled name means. Pure. The work is linear in the length of the name.

/// One edit per so many letters is a misspelling: short words are similar by chance.
const LETTERS_PER_EDIT: usize = 6;
const MAX_EDITS: usize = 3;

/// The candidate with the smallest edit distance, if that is small.
pub(super) fn likely<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.len() / LETTERS_PER_EDIT).clamp(1, MAX_EDITS);
    let name = name.to_ascii_lowercase().replace('-', "_");
    candidates
        // A distance is at least the difference of the lengths.
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= limit)
        .map(|candidate| {
            (
                strsim::levenshtein(&name, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
