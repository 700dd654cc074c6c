package bench

import (
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"strings"
	"testing"
)

// drawing is a figure in SVG, which follows the reader's choice of light or dark.
type drawing struct {
	strings.Builder
	width, height float64
}

// The classes of subjects have colours that differ in lightness too, and 3:1 from both backgrounds.
const style = `<style>
svg{background:#fff;color:#1f2328;font:12px system-ui,sans-serif}
text{fill:currentColor}.title{font-size:15px;font-weight:600}.small{font-size:10px}
.grid{stroke:currentColor;opacity:.15}.axis{stroke:currentColor;opacity:.6}.range{stroke:currentColor;stroke-width:1.5}
.direct{--c:#6e7781}.reverse{--c:#9a6700}.opaque{--c:#0969da}.md5{--c:#8250df}
.fill{fill:var(--c)}.line{fill:none;stroke:var(--c);stroke-width:2}
@media (prefers-color-scheme:dark){svg{background:#0d1117;color:#e6edf3}.direct{--c:#8b949e}.reverse{--c:#d29922}.opaque{--c:#58a6ff}.md5{--c:#bc8cff}}
</style>`

func newDrawing(width, height float64, title string) *drawing {
	d := &drawing{width: width, height: height}
	fmt.Fprintf(d, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">%s<rect width="100%%" height="100%%" fill="none"/>`, width, height, width, height, html.EscapeString(title), style)
	d.text(12, 22, "title", "start", title)
	return d
}

func (d *drawing) text(x, y float64, class, anchor, text string) {
	fmt.Fprintf(d, `<text x="%.1f" y="%.1f" class="%s" text-anchor="%s">%s</text>`, x, y, class, anchor, html.EscapeString(text))
}

func (d *drawing) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(d, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

func (d *drawing) bar(x, y, width, height float64, class string) {
	fmt.Fprintf(d, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="fill %s"/>`, x, y, max(width, 0), height, class)
}

// curve goes through points.
func (d *drawing) curve(points [][2]float64, class string) {
	var at []string
	for _, p := range points {
		at = append(at, fmt.Sprintf("%.1f,%.1f", p[0], p[1]))
		fmt.Fprintf(d, `<circle cx="%.1f" cy="%.1f" r="3" class="fill %s"/>`, p[0], p[1], class)
	}
	fmt.Fprintf(d, `<polyline points="%s" class="line %s"/>`, strings.Join(at, " "), class)
}

// legend names subjects by their colours.
func (d *drawing) legend(x, y float64, subjects ...string) {
	for _, s := range subjects {
		d.bar(x, y-9, 10, 10, s)
		d.text(x+15, y, "", "start", map[string]string{direct: "direct", reverse: "reverse proxy", opaque: "s3proxy, opaque", md5: "s3proxy, md5"}[s])
		x += 125
	}
}

func (d *drawing) end() string { return d.String() + "</svg>\n" }

// isFigure checks that a figure is XML of so many elements, and that all of its places are numbers.
func isFigure(t *testing.T, name, figure string, least int) {
	t.Helper()
	decoder, elements := xml.NewDecoder(strings.NewReader(figure)), 0
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, begins := token.(xml.StartElement); begins {
			elements++
		}
	}
	if elements < least || strings.Contains(figure, "NaN") {
		t.Errorf("%s has %d elements: %s", name, elements, figure)
	}
}
