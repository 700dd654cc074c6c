package s3err

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Error is one S3 error. The variables of this package are templates: With,
// WithMessage and Because give changed copies, so that no request ever changes
// what another one sees.
type Error struct {
	// Code is S3's name for the error, for example "NoSuchKey".
	Code string
	// Status is the HTTP status of the answer.
	Status int
	// Message is the text for people.
	Message string
	// Fields are the elements that S3 adds for this error, in order.
	Fields []Field
	// Header has further headers of the answer, such as Retry-After.
	Header http.Header

	cause error
}

// Field is one further XML element of an error.
type Field struct{ Name, Value string }

// Error gives code, message and cause, and the name of what was refused, but not its value;
// it is for logs, not for clients.
func (e *Error) Error() string {
	text := e.Code + ": " + e.Message
	for _, element := range []string{"ArgumentName", "Header"} {
		if name := e.Field(element); name != "" && !strings.Contains(e.Message, name) {
			text += " (" + name + ")"
		}
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap gives the cause, which is never part of an answer.
func (e *Error) Unwrap() error { return e.cause }

// Is makes errors.Is compare by code: any AccessDenied is AccessDenied, whatever
// its text.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// With gives a copy that has these fields too.
func (e *Error) With(fields ...Field) *Error {
	c := e.clone()
	c.Fields = append(c.Fields, fields...)
	return c
}

// WithMessage gives a copy with another text.
func (e *Error) WithMessage(format string, args ...any) *Error {
	c := e.clone()
	c.Message = fmt.Sprintf(format, args...)
	return c
}

// Because gives a copy that carries what caused it, for the log and errors.Is.
func (e *Error) Because(err error) *Error {
	c := e.clone()
	if c.cause != nil {
		err = errors.Join(c.cause, err)
	}
	c.cause = err
	return c
}

// Argument gives a copy with the two elements of an InvalidArgument.
func (e *Error) Argument(name, value string) *Error {
	return e.With(Field{"ArgumentName", name}, Field{"ArgumentValue", value})
}

// Field gives the value of the first element of that name, or "".
func (e *Error) Field(name string) string {
	for _, f := range e.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (e *Error) clone() *Error {
	c := *e
	c.Fields = slices.Clip(slices.Clone(e.Fields))
	c.Header = e.Header.Clone()
	return &c
}
