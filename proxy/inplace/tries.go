package inplace

// MaxTries limits how often a copy starts over because its source was replaced between two
// requests.
const MaxTries = 8

// MaxDamagedTries is the limit for a source that does not authenticate: it may be a mix of two
// states, or damaged.
const MaxDamagedTries = 3
