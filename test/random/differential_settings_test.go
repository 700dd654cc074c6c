package random

func (q *sequence) setVersioning(status string) {
	d := draft{method: "PUT", document: func(int) string {
		return "<VersioningConfiguration><Status>" + status + "</Status></VersioningConfiguration>"
	}}
	d.ask("versioning", "")
	q.send("PutBucketVersioning", true, d)
}

func (q *sequence) putVersioning() { q.setVersioning(choose(q, "status", "Suspended", "Enabled")) }

func (q *sequence) putRetention() {
	d := draft{method: "PUT", key: q.key()}
	mode := choose(q, "mode", "GOVERNANCE", "GOVERNANCE", "COMPLIANCE", "NONSENSE")
	until := choose(q, "until", "2097-01-01T00:00:00Z", "2098-01-01T00:00:00Z", "2001-01-01T00:00:00Z")
	d.document = func(int) string {
		return "<Retention><Mode>" + mode + "</Mode><RetainUntilDate>" + until + "</RetainUntilDate></Retention>"
	}
	d.ask("retention", "")
	q.version(&d, 3)
	if q.rarely("bypass", 3) {
		d.head("x-amz-bypass-governance-retention", "true")
	}
	q.send("PutObjectRetention", true, d)
}

func (q *sequence) putLegalHold() {
	d := draft{method: "PUT", key: q.key()}
	status := choose(q, "status", "ON", "OFF", "NONSENSE")
	d.document = func(int) string { return "<LegalHold><Status>" + status + "</Status></LegalHold>" }
	d.ask("legal-hold", "")
	q.version(&d, 3)
	q.send("PutObjectLegalHold", true, d)
}

func (q *sequence) getLocks() {
	d := draft{method: "GET", key: q.key()}
	what := choose(q, "what", "retention", "legal-hold")
	d.ask(what, "")
	q.version(&d, 3)
	q.send("GetObject "+what, false, d)
}

func (q *sequence) ofTheBucket() {
	switch what := choose(q, "what", "head", "location", "versioning", "object-lock", "acl", "tagging", "lifecycle", "cors", "policy"); what {
	case "head":
		q.send("HeadBucket", false, draft{method: "HEAD"})
	case "acl":
		d := draft{method: "GET", key: q.key()}
		d.ask("acl", "")
		q.send("GetObjectAcl", false, d)
	default:
		d := draft{method: "GET"}
		d.ask(what, "")
		q.send("GetBucket "+what, false, d)
	}
}
