package proxy

import (
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
	"github.com/s3proxy/s3proxy/proxy/state"
)

// maxLifecycle bounds a lifecycle configuration: S3's largest has 1000 rules.
const maxLifecycle = 1 << 20

// putLifecycle forwards a lifecycle configuration if it cannot remove the proxy's own objects:
// without its record, a window's objects become unreadable when the key is rotated away. The
// document is rebuilt from what was understood, so that the store cannot read another one.
//
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html
func putLifecycle(x *exchange) error {
	body, err := x.readDocument(maxLifecycle)
	if err != nil {
		return err
	}
	doc, rules, err := parseLifecycle(body)
	if err != nil {
		return err
	}
	if x.holdsState() {
		for i := range rules {
			if rules[i].takes(x.Place) {
				return s3err.InvalidRequest.WithMessage("Rule %q would expire or move objects below %s, which s3proxy needs to read what it has encrypted. "+
					"Give the rule a prefix that %s does not begin with, a tag, or ObjectSizeGreaterThan of at least %d; or have s3proxy keep its objects in a bucket of their own (--state-bucket).",
					rules[i].id, x.Place.Root(), x.Place.Root(), largestState)
			}
		}
	}
	return x.forwardDocument(doc)
}

// holdsState tells whether the proxy's own objects may be in the bucket.
func (x *exchange) holdsState() bool {
	of, _ := x.Place.Of(x.bucket)
	return of == x.bucket && (!x.Passthrough || x.Place.Bucket == x.bucket)
}

// largestState is more than the size of any own object: the largest are sealed parts of less
// than 5 MiB.
const largestState = 6 << 20

// lifecycleRule holds what decides whether a rule applies to state objects.
type lifecycleRule struct {
	id, prefix  string
	enabled     bool
	tagged      bool  // only objects with a tag; state objects have none
	largerThan  int64 // only objects of more bytes; 0: all
	takesObject bool  // expires or moves current versions
}

// takes tells whether the rule applies to the current versions of own objects at that place. The
// rest of theirs (old versions, delete markers, uploads) is not needed.
func (r *lifecycleRule) takes(at state.Place) bool {
	return r.enabled && r.takesObject && !r.tagged && r.largerThan < largestState &&
		(strings.HasPrefix(at.Root(), r.prefix) || at.Owns(r.prefix))
}

// RulesThatTakeState names the rules of a store's lifecycle configuration that would expire or move
// the proxy's own objects. It fails for a configuration with anything that is unknown here.
func RulesThatTakeState(doc []byte, at state.Place) (names []string, err error) {
	_, rules, err := parseLifecycle(doc)
	for i := range rules {
		if rules[i].takes(at) {
			names = append(names, strconv.Quote(rules[i].id))
		}
	}
	return names, err
}

var lifecycleShape = func() s3xml.Shape {
	text := s3xml.Child{}
	one := func(s s3xml.Shape) s3xml.Child { return s3xml.Child{Shape: s} }
	many := func(s s3xml.Shape) s3xml.Child { return s3xml.Child{Shape: s, Many: true} }
	tag := s3xml.Shape{"Key": text, "Value": text}
	conditions := func(tags s3xml.Child, more s3xml.Shape) s3xml.Shape {
		s := s3xml.Shape{"Prefix": text, "Tag": tags, "ObjectSizeGreaterThan": text, "ObjectSizeLessThan": text}
		for name, child := range more {
			s[name] = child
		}
		return s
	}
	return s3xml.Shape{"Rule": many(s3xml.Shape{
		"ID": text, "Status": text, "Prefix": text,
		"Filter":                         one(conditions(one(tag), s3xml.Shape{"And": one(conditions(many(tag), nil))})),
		"Expiration":                     one(s3xml.Shape{"Date": text, "Days": text, "ExpiredObjectDeleteMarker": text}),
		"Transition":                     many(s3xml.Shape{"Date": text, "Days": text, "StorageClass": text}),
		"NoncurrentVersionExpiration":    one(s3xml.Shape{"NoncurrentDays": text, "NewerNoncurrentVersions": text}),
		"NoncurrentVersionTransition":    many(s3xml.Shape{"NoncurrentDays": text, "NewerNoncurrentVersions": text, "StorageClass": text}),
		"AbortIncompleteMultipartUpload": one(s3xml.Shape{"DaysAfterInitiation": text}),
	})}
}()

// parseLifecycle refuses a configuration with anything that is unknown here, because it might be
// an action. It returns the document as it was understood.
func parseLifecycle(body []byte) (doc []byte, rules []lifecycleRule, err error) {
	var root s3xml.Element
	if err := s3xml.Unmarshal(body, &root); err != nil {
		return nil, nil, s3err.MalformedXML.Because(err)
	}
	if root.XMLName.Local != "LifecycleConfiguration" {
		return nil, nil, s3err.MalformedXML
	}
	if err := root.Check(lifecycleShape); err != nil {
		return nil, nil, s3err.MalformedXML.WithMessage("The lifecycle configuration is not understood: %s.", err)
	}
	for i := range root.Children {
		rule, err := readLifecycleRule(&root.Children[i])
		if err != nil {
			return nil, nil, s3err.MalformedXML.WithMessage("The lifecycle configuration is not understood: rule %q: %s.", rule.id, err)
		}
		rules = append(rules, rule)
	}
	root.Attributes = []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: s3xml.Namespace}}
	doc, err = xml.Marshal(root)
	return doc, rules, err
}

func readLifecycleRule(e *s3xml.Element) (r lifecycleRule, err error) {
	r.id = e.Child("ID").Content()
	switch status := e.Child("Status").Content(); status {
	case "Enabled":
		r.enabled = true
	case "Disabled":
	default:
		return r, fmt.Errorf("the status %q is neither Enabled nor Disabled", status)
	}
	filter := e.Child("Filter")
	if len(filter.Elements()) > 1 {
		return r, fmt.Errorf("a Filter has one condition, or And")
	}
	places := []*s3xml.Element{e, filter, filter.Child("And")}
	prefixes := 0
	for _, at := range places {
		if prefix := at.Child("Prefix"); prefix != nil {
			r.prefix = prefix.Content()
			prefixes++
		}
		if at != e {
			r.tagged = r.tagged || at.Child("Tag") != nil
		}
		if size := at.Child("ObjectSizeGreaterThan"); size != nil {
			if r.largerThan, err = strconv.ParseInt(size.Content(), 10, 64); err != nil || r.largerThan < 0 {
				return r, fmt.Errorf("ObjectSizeGreaterThan is no number")
			}
		}
	}
	if prefixes > 1 {
		return r, fmt.Errorf("it has two prefixes")
	}
	expiration := e.Child("Expiration")
	r.takesObject = e.Child("Transition") != nil || expiration.Child("Days") != nil || expiration.Child("Date") != nil
	return r, nil
}
