package sigv4

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3proxy/s3proxy/proxy/s3err"
)

// Policy is what a signed POST form may contain.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
type Policy struct {
	conditions []condition
	ranges     []lengthRange
}

// condition is on the value of one field.
type condition struct {
	field  string // lower case
	value  string
	prefix bool   // starts-with
	text   string // as S3 gives it back
}

// lengthRange bounds the size of the file, in bytes; both ends belong to it.
type lengthRange struct{ min, max int64 }

var errPolicyExpired = s3err.AccessDenied.WithMessage("Invalid according to Policy: Policy expired.")

func invalidPolicy(format string, args ...any) *s3err.Error {
	return s3err.InvalidPolicyDocument.WithMessage("Invalid Policy: "+format, args...)
}

// parsePolicy reads a policy and refuses one that has expired. What S3 does not
// know in it is an error.
func parsePolicy(encoded string, now time.Time) (*Policy, error) {
	if encoded = strings.TrimSpace(encoded); encoded == "" {
		return nil, invalidPolicy("Expecting '{' but found End-of-Input")
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nil, invalidPolicy("invalid Base64 encoding.")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return nil, invalidPolicy("Invalid JSON.")
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name != "expiration" && name != "conditions" {
			return nil, invalidPolicy("Unexpected: %q", name)
		}
	}
	if members["expiration"] == nil {
		return nil, invalidPolicy("Policy missing expiration.")
	}
	if members["conditions"] == nil {
		return nil, invalidPolicy("Policy missing conditions.")
	}
	var conditions []json.RawMessage
	if json.Unmarshal(members["conditions"], &conditions) != nil {
		return nil, invalidPolicy("Invalid 'conditions' value: must be a List.")
	}
	var expiration string
	if json.Unmarshal(members["expiration"], &expiration) != nil {
		return nil, invalidPolicy("Invalid JSON.")
	}
	expires, err := time.Parse(time.RFC3339, expiration)
	if err != nil {
		return nil, invalidPolicy("Invalid 'expiration' value: '%s'", expiration)
	}
	if !now.Before(expires) {
		return nil, errPolicyExpired
	}
	p := &Policy{}
	for _, c := range conditions {
		if err := p.add(c); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add reads one condition: {"field": "value"}, ["eq" or "starts-with",
// "$field", "value"] or ["content-length-range", min, max].
func (p *Policy) add(raw json.RawMessage) error {
	var simple map[string]any
	if json.Unmarshal(raw, &simple) == nil && simple != nil {
		return p.addSimple(simple)
	}
	return p.addTest(raw)
}

// addSimple takes {"field": "value"}.
func (p *Policy) addSimple(simple map[string]any) error {
	if len(simple) != 1 {
		return invalidPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
	}
	for field, value := range simple {
		s, ok := value.(string)
		if !ok {
			return invalidPolicy("Invalid Simple-Condition: value must be a string.")
		}
		field = strings.ToLower(field)
		p.conditions = append(p.conditions, condition{field: field, value: s, text: told("eq", "$"+field, s)})
	}
	return nil
}

// addTest takes a list of an operation and its two arguments.
func (p *Policy) addTest(raw json.RawMessage) error {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return invalidPolicy("Invalid condition test: must be a List or Object.")
	}
	if len(list) == 0 {
		return invalidPolicy("Invalid Condition: missing operation identifier.")
	}
	var operation string
	if json.Unmarshal(list[0], &operation) != nil {
		return invalidPolicy("Invalid JSON.")
	}
	if !slices.Contains([]string{"eq", "starts-with", "content-length-range"}, operation) {
		return invalidPolicy("Invalid Condition: unknown operation '%s'.", operation)
	}
	if len(list) != 3 {
		return invalidPolicy("Invalid %s: wrong number of arguments.", operation)
	}
	if operation == "content-length-range" {
		low, okLow := length(list[1])
		high, okHigh := length(list[2])
		if !okLow || !okHigh {
			return invalidPolicy("Invalid JSON.")
		}
		p.ranges = append(p.ranges, lengthRange{low, high})
		return nil
	}
	var field string
	value, ok := scalar(list[2])
	if json.Unmarshal(list[1], &field) != nil || !ok {
		return invalidPolicy("Invalid JSON.")
	}
	name, ok := strings.CutPrefix(field, "$")
	if !ok || name == "" {
		return conditionFailed(string(raw))
	}
	p.conditions = append(p.conditions, condition{
		field: strings.ToLower(name), value: value, prefix: operation == "starts-with", text: told(operation, field, value),
	})
	return nil
}

// told is a condition as S3 gives it back, however it was written: minio-go's tests look for it.
func told(operation, field, value string) string {
	return `["` + operation + `", "` + field + `", "` + value + `"]`
}

// scalar reads a value: a string, or a number as it is written.
func scalar(raw json.RawMessage) (string, bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var value any
	if d.Decode(&value) != nil {
		return "", false
	}
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// length reads a size, which clients also write as a string. One past what an
// int64 holds bounds nothing.
func length(raw json.RawMessage) (int64, bool) {
	n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(string(raw)), `"`), 10, 64)
	return int64(min(n, math.MaxInt64)), err == nil
}

func conditionFailed(text string) error {
	return s3err.AccessDenied.WithMessage("Invalid according to Policy: Policy Condition failed: %s", text)
}

// freeField tells whether a form may have a field that no condition names. The two of version 2
// are in no form that is signed otherwise.
func freeField(name string) bool {
	return name == "file" || name == "awsaccesskeyid" || name == "signature" || name == "policy" || name == "x-amz-signature" || strings.HasPrefix(name, "x-ignore-")
}

// Allow checks the fields of a form, by their names in lower case and with their
// variables expanded. The bucket and the key are what the request means, whatever
// fields it has. Every field needs a condition, and every condition must hold.
func (p *Policy) Allow(fields map[string]string, bucket, key string) error {
	named := map[string]bool{}
	for _, c := range p.conditions {
		named[c.field] = true
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !named[name] && !freeField(name) {
			return s3err.AccessDenied.WithMessage("Invalid according to Policy: Extra input fields: %s", name)
		}
	}
	for _, c := range p.conditions {
		value, ok := fields[c.field]
		switch c.field {
		case "bucket":
			value, ok = bucket, true
		case "key":
			value, ok = key, true
		}
		if !ok || !c.holds(value) {
			return conditionFailed(c.text)
		}
	}
	if !named["bucket"] {
		return s3err.AccessDenied.WithMessage("Invalid according to Policy: Extra input fields: bucket")
	}
	return nil
}

func (c condition) holds(value string) bool {
	if !c.prefix {
		return value == c.value
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	// A list of types: each must have the prefix.
	for one := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimSpace(one), c.value) {
			return false
		}
	}
	return true
}

// AllowLength checks the size of the file, in bytes.
func (p *Policy) AllowLength(size int64) error {
	for _, r := range p.ranges {
		if size > r.max {
			return s3err.EntityTooLarge.With(
				s3err.Field{Name: "ProposedSize", Value: strconv.FormatInt(size, 10)},
				s3err.Field{Name: "MaxSizeAllowed", Value: strconv.FormatInt(r.max, 10)})
		}
		if size < r.min {
			return s3err.EntityTooSmall.With(
				s3err.Field{Name: "ProposedSize", Value: strconv.FormatInt(size, 10)},
				s3err.Field{Name: "MinSizeAllowed", Value: strconv.FormatInt(r.min, 10)})
		}
	}
	return nil
}
