package main

// place is what a command goes through: a bucket, or what is below a prefix in it.
type place struct{ bucket, prefix string }

func (p place) String() string { return "s3://" + p.bucket + "/" + p.prefix }
