package fingerprint

// Normalize is for tests.
var Normalize = normalize
