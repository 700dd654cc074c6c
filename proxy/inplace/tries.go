package inplace

// MaxTries bounds how often a copy begins anew because its source was replaced
// between two requests.
const MaxTries = 8

// MaxDamagedTries is the same for a source that does not authenticate: it may be two states
// of an object, and it may be damaged.
const MaxDamagedTries = 3
