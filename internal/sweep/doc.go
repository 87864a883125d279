// Package sweep tests what runs leave that are cut off. The sweep kills a run before and after each of its calls to
// Neon, GitHub, the databases and the store, runs it again, and looks at what both have left: the second run converges
// to what an undisturbed one leaves, nothing is done twice, and nothing is lost or leaked. The soak takes a fleet
// through its life while all of that and more happens at random. Calls are counted from outside, so the program that
// is killed is the one that users get.
package sweep
