package ops

// Target is a bucket, or what is below a prefix in it.
type Target struct{ Bucket, Prefix string }

func (t Target) String() string { return "s3://" + t.Bucket + "/" + t.Prefix }

// Place implements Plan, for what is done at a target.
func (t Target) Place() Target { return t }
