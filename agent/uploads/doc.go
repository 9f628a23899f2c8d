// Package uploads keeps what has come of images that are uploaded to this host
// until they are whole: an upload that breaks off goes on where it was, also
// after a restart of the agent. What it keeps lies in the spool of package
// fetch, which removes what nobody has gone on with for a day.
package uploads
