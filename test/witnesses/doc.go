// Package witnesses tries to break the rule by which keys are granted by witnesses:
// thousands of random histories in virtual time of the real witness (package
// agent/witness) and the real asker (package grants), under loss, duplication,
// delay and reordering of messages, cuts, crashes of witnesses with and without
// their journals, askers that are halted in the middle, clocks of which one goes
// nearly three times as fast as another, changes of the witness set that race
// with each other, and instances that go, so that their keys are forgotten.
//
// A history is made from a seed and is the same each time. What must hold is in
// check.go. The harness itself is tested: each fault of faults.go is caught.
package witnesses
