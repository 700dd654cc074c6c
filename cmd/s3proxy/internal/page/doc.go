// Package page is what an operator's browser shows of a running proxy: one page, and the numbers
// that it asks for. It changes nothing, and tells no secret.
//
//   - page.go: the page and its files (static/), and the headers that keep it to itself.
//   - status.go: the document of numbers.
//   - families.go: reads them from the metrics.
//   - guard.go: who may see it.
package page
