// Package cli is the command line of Grapevine: one file for each group of
// verbs, over the native API. Commands that read the fleet work against a
// registry or any agent.
//
// Tables are for eyes and may change; -o json is exactly what the API answers
// and does not. Errors are one sentence on stderr. The exit code is 0 when the
// command did what was asked, 1 when it failed and 2 when it was used wrongly.
package cli
