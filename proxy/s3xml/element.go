package s3xml

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Element is any element of a document. A nil *Element is empty.
type Element struct {
	XMLName    xml.Name
	Attributes []xml.Attr `xml:",any,attr"`
	Text       string     `xml:",chardata"`
	Children   []Element  `xml:",any"`
}

func (e *Element) Elements() []Element {
	if e == nil {
		return nil
	}
	return e.Children
}

// Child returns the first child with this name, or nil.
func (e *Element) Child(name string) *Element {
	for i := range e.Elements() {
		if e.Children[i].XMLName.Local == name {
			return &e.Children[i]
		}
	}
	return nil
}

func (e *Element) Content() string {
	if e == nil {
		return ""
	}
	return e.Text
}

// Shape lists the elements that an element may contain. If it is nil, the element has only text.
type Shape map[string]Child

type Child struct {
	Shape Shape
	Many  bool
}

// Check refuses anything that the shape does not name. It also clears what carries no meaning
// (white space between elements, namespaces), so that the element can be written again.
func (e *Element) Check(shape Shape) error {
	name := e.XMLName.Local
	if space := e.XMLName.Space; space != "" && space != Namespace {
		return fmt.Errorf("%s is of another namespace", name)
	}
	e.XMLName.Space = ""
	for _, a := range e.Attributes {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
			return fmt.Errorf("%s has the attribute %s", name, a.Name.Local)
		}
	}
	e.Attributes = nil
	if shape == nil {
		if len(e.Children) > 0 {
			return fmt.Errorf("%s has elements", name)
		}
		return nil
	}
	if strings.TrimSpace(e.Text) != "" {
		return fmt.Errorf("%s has text", name)
	}
	e.Text = ""
	seen := map[string]bool{}
	for i := range e.Children {
		child := &e.Children[i]
		allowed, known := shape[child.XMLName.Local]
		if !known {
			return fmt.Errorf("%s in %s is unknown", child.XMLName.Local, name)
		}
		if seen[child.XMLName.Local] && !allowed.Many {
			return fmt.Errorf("%s is twice in %s", child.XMLName.Local, name)
		}
		seen[child.XMLName.Local] = true
		if err := child.Check(allowed.Shape); err != nil {
			return err
		}
	}
	return nil
}
