package cors

import (
	"encoding/xml"
	"slices"
	"strconv"
	"strings"

	"github.com/s3proxy/s3proxy/proxy/s3err"
	"github.com/s3proxy/s3proxy/proxy/s3xml"
)

// S3's limits.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketCors.html
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CORSRule.html
const (
	// MaxBytes is the largest document.
	MaxBytes = 64 << 10
	maxRules = 100
	maxID    = 255 // characters
)

// Configuration is the document of a bucket.
type Configuration struct {
	XMLName xml.Name `xml:"CORSConfiguration"`
	Xmlns   string   `xml:"xmlns,attr"`
	Rules   []Rule   `xml:"CORSRule"`
}

// Rule is one of its rules.
type Rule struct {
	ID      string   `xml:"ID,omitempty"`
	Methods []string `xml:"AllowedMethod"`
	Origins []string `xml:"AllowedOrigin"`
	Headers []string `xml:"AllowedHeader"` // of requests
	Exposed []string `xml:"ExposeHeader"`  // of answers
	MaxAge  *int32   `xml:"MaxAgeSeconds"` // of a preflight's answer in browsers
}

var shape = s3xml.Shape{"CORSRule": {Many: true, Shape: s3xml.Shape{
	"ID": {}, "AllowedMethod": {Many: true}, "AllowedOrigin": {Many: true}, "AllowedHeader": {Many: true}, "ExposeHeader": {Many: true}, "MaxAgeSeconds": {},
}}}

// methods are those that a rule can allow.
var methods = []string{"GET", "PUT", "HEAD", "POST", "DELETE"}

// Parse reads a document, and refuses with S3's words what S3 refuses.
func Parse(document []byte) (*Configuration, error) {
	var root s3xml.Element
	if err := s3xml.Unmarshal(document, &root); err != nil {
		return nil, s3err.MalformedXML.Because(err)
	}
	if root.XMLName.Local != "CORSConfiguration" || len(root.Children) == 0 {
		return nil, s3err.MalformedXML
	}
	if err := root.Check(shape); err != nil {
		return nil, s3err.MalformedXML.Because(err)
	}
	if len(root.Children) > maxRules {
		return nil, s3err.InvalidRequest.WithMessage("The number of CORS rules should not exceed allowed limit of %d rules.", maxRules)
	}
	c := &Configuration{Xmlns: s3xml.Namespace}
	for i := range root.Children {
		r, err := readRule(&root.Children[i])
		if err != nil {
			return nil, err
		}
		c.Rules = append(c.Rules, r)
	}
	return c, nil
}

// Document writes the rules as S3 shows them.
func (c *Configuration) Document() ([]byte, error) { return xml.Marshal(c) }

func readRule(e *s3xml.Element) (r Rule, err error) {
	for i := range e.Children {
		text := e.Children[i].Text
		switch e.Children[i].XMLName.Local {
		case "ID":
			r.ID = text
		case "AllowedMethod":
			r.Methods = append(r.Methods, text)
		case "AllowedOrigin":
			r.Origins = append(r.Origins, text)
		case "AllowedHeader":
			r.Headers = append(r.Headers, text)
		case "ExposeHeader":
			r.Exposed = append(r.Exposed, text)
		case "MaxAgeSeconds":
			age, err := strconv.ParseInt(text, 10, 32) // S3 takes negative ones, too
			if err != nil {
				return r, s3err.MalformedXML
			}
			r.MaxAge = new(int32)
			*r.MaxAge = int32(age)
		}
	}
	return r, r.check()
}

func (r *Rule) check() error {
	if len(r.Methods) == 0 || len(r.Origins) == 0 {
		return s3err.MalformedXML
	}
	if len([]rune(r.ID)) > maxID {
		return s3err.InvalidArgument.WithMessage("ID length should not exceed allowed limit of %d", maxID).Argument("ID", r.ID)
	}
	for _, m := range r.Methods {
		if !slices.Contains(methods, m) {
			return s3err.InvalidRequest.WithMessage("Found unsupported HTTP method in CORS config. Unsupported method is %s", m)
		}
	}
	for _, o := range r.Origins {
		if strings.Count(o, "*") > 1 {
			return s3err.InvalidRequest.WithMessage(`AllowedOrigin "%s" can not have more than one wildcard.`, o)
		}
	}
	for _, h := range r.Headers {
		switch {
		case h != "" && !isName(h):
			return s3err.InvalidRequest.WithMessage(`AllowedHeader "%s" contains invalid character.`, h)
		case strings.Count(h, "*") > 1:
			return s3err.InvalidRequest.WithMessage(`AllowedHeader "%s" can not have more than one wildcard.`, h)
		}
	}
	for _, h := range r.Exposed {
		switch {
		case h != "" && !isName(h):
			return s3err.InvalidRequest.WithMessage(`ExposeHeader "%s" contains invalid character.`, h)
		case strings.Contains(h, "*"):
			return s3err.InvalidRequest.WithMessage(`ExposeHeader "%s" contains wildcard. We currently do not support wildcard for ExposeHeader.`, h)
		}
	}
	return nil
}

// isName tells whether a header can have this name, in which * is a character like others.
// https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
func isName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
