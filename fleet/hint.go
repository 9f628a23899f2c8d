package fleet

// Hint is an agent's word that it no longer hears another host: its link to
// that host ended without a good bye, or two pings on it went unanswered.
// Heard is the newest version of the subject that the observer held then.
//
// It is soft: readers make nothing of it once they hold anything newer of the
// subject, and the observer takes it back when it hears the subject again. It
// changes what is shown, and nothing else.
type Hint struct {
	Subject HostID
	Heard   Version // of the subject; zero where nothing was ever heard of it
}
