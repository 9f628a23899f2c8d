package fleet

// HostChange is what became of one host's block at the node that is watched.
type HostChange struct {
	Host     HostID  `json:"host"`
	HostName string  `json:"host_name"`
	Version  Version `json:"version"` // held now
	// Before is the version that was held until then; empty for a host that was
	// not known.
	Before Version `json:"before"`
	// Missed counts the versions between the two that are not shown: they were
	// joined on their way to the node, or the reader was slower than they came.
	// Across a restart of the host's agent they cannot be counted.
	Missed uint64 `json:"missed"`
	// Whole says that the rows could not be told apart from those before, as
	// after a restart: all of them count as changed.
	Whole bool `json:"whole"`
	// Added, Changed and Deleted count rows.
	Added   int `json:"added"`
	Changed int `json:"changed"`
	Deleted int `json:"deleted"`
	// Rows are the first MaxWatchRows of those; none where Whole is set.
	Rows []RowChange `json:"rows"`
}

// RowChange is one row that was added, changed or deleted.
type RowChange struct {
	Kind    string `json:"kind"` // host, instance, image, hint, record, or a number
	ID      string `json:"id"`
	Name    string `json:"name,omitempty"`
	Deleted bool   `json:"deleted,omitempty"`
}
