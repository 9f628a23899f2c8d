package journal

// LimitAudit bounds the audit log, for tests that fill it.
func (j *Journal) LimitAudit(bytes uint64) { j.audit.limit = bytes }
