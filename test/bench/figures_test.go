package bench

import (
	"fmt"
	"math"
	"slices"
)

// ratioFigure has a bar for each job and mode: its speed, as a ratio to the reverse proxy's.
func (r *results) ratioFigure() string {
	var jobs []record
	for _, one := range r.jobs() {
		if one.Rate == 0 && len(r.besideReverse(one, opaque)) > 0 {
			jobs = append(jobs, one)
		}
	}
	if len(jobs) == 0 {
		return ""
	}
	const left, row, top = 380.0, 34.0, 62.0
	most := 1.1
	for _, one := range jobs {
		most = max(most, slices.Max(r.besideReverse(one, opaque)), slices.Max(r.besideReverse(one, md5)))
	}
	most = min(most, 2) // what is longer is cut off
	x := func(ratio float64) float64 { return left + min(ratio, most)/most*460 }
	bottom := top + row*float64(len(jobs))
	d := newDrawing(900, bottom+30, "Speed beside a reverse proxy that neither encrypts nor checks (1 = as fast)")
	d.legend(left, 44, opaque, md5)
	for i := 0; float64(i)*0.25 <= most; i++ {
		at := float64(i) * 0.25
		class := "grid"
		if at == 1 {
			class = "axis"
		}
		d.line(x(at), top-6, x(at), bottom, class)
		d.text(x(at), bottom+16, "small", "middle", figures(at))
	}
	for i, one := range jobs {
		y := top + row*float64(i)
		d.text(left-10, y+18, "", "end", fmt.Sprintf("%s (%d)", one.Job, one.Clients))
		for k, subject := range []string{opaque, md5} {
			v, at := r.besideReverse(one, subject), y+2+13*float64(k)
			d.bar(left, at, x(median(v))-left, 12, subject)
			d.line(x(slices.Min(v)), at+6, x(slices.Max(v)), at+6, "range")
			d.text(x(slices.Max(v))+5, at+10, "small", "start", fmt.Sprintf("%.2f", median(v)))
		}
	}
	return d.end()
}

// plot is a coordinate system with a logarithmic vertical axis.
type plot struct {
	*drawing
	left, top, width, height float64
	low, high                float64 // exponents of ten
}

func (p plot) y(value float64) float64 {
	return p.top + p.height*(1-(math.Log10(max(value, 1e-9))-p.low)/(p.high-p.low))
}

// axes draws a line for each power of ten.
func (p plot) axes(unit string) {
	for e := p.low; e <= p.high; e++ {
		at := p.y(math.Pow(10, e))
		p.line(p.left, at, p.left+p.width, at, "grid")
		p.text(p.left-6, at+4, "small", "end", fmt.Sprintf("%g %s", math.Pow(10, e), unit))
	}
}

// newPlot gives one that is as high as its values need.
func newPlot(d *drawing, left, top, width, height float64, values []float64, unit string) plot {
	low, high := math.Floor(math.Log10(max(slices.Min(values), 1e-3))), math.Ceil(math.Log10(max(slices.Max(values), 1e-3)))
	p := plot{d, left, top, width, height, low, max(high, low+1)}
	p.axes(unit)
	return p
}

// latencyFigure has a curve for each subject, for each job at a fixed rate: medians of percentiles.
func (r *results) latencyFigure() string {
	var jobs []record
	for _, one := range r.jobs() {
		if one.Rate > 0 {
			jobs = append(jobs, one)
		}
	}
	if len(jobs) == 0 {
		return ""
	}
	d := newDrawing(430*float64(len(jobs)), 340, "Latency at a fixed rate, from the moment a request should have been sent")
	d.legend(60, 44, subjectNames...)
	for i, one := range jobs {
		at := func(subject string, p float64) float64 {
			return r.median(one.Job, subject, func(r record) float64 { return r.Milliseconds[percentName(p)] })
		}
		var all []float64
		for _, subject := range subjectNames {
			for _, p := range percentiles {
				all = append(all, at(subject, p))
			}
		}
		left := 60 + 430*float64(i)
		plot := newPlot(d, left, 80, 350, 210, all, "ms")
		d.text(left, 70, "", "start", fmt.Sprintf("%s, %.0f a second", one.Job, one.Rate))
		x := func(p float64) float64 { return left + 15 + 320*(-math.Log10(1-p/100)-0.3)/3.7 }
		for _, p := range percentiles {
			if p != 75 && p != 99.5 {
				d.text(x(p), 308, "small", "middle", "p"+percentName(p))
			}
		}
		for _, subject := range subjectNames {
			var points [][2]float64
			for _, p := range percentiles {
				points = append(points, [2]float64{x(p), plot.y(at(subject, p))})
			}
			d.curve(points, subject)
		}
	}
	return d.end()
}

// growthFigure has operations per second against the number of clients.
func (r *results) growthFigure() string {
	byMethod := map[string][]record{}
	for _, one := range r.jobs() {
		if one.Growth != "" {
			method := one.Job[:3]
			byMethod[method] = append(byMethod[method], one)
		}
	}
	if len(byMethod["PUT"]) < 2 || len(byMethod["GET"]) < 2 {
		return ""
	}
	d := newDrawing(860, 340, "Operations per second against clients, objects of 4 KiB")
	d.legend(60, 44, subjectNames...)
	for i, method := range []string{"PUT", "GET"} {
		jobs := byMethod[method]
		slices.SortFunc(jobs, func(a, b record) int { return a.Clients - b.Clients })
		speed, _ := jobs[0].speed()
		var all []float64
		for _, one := range jobs {
			for _, subject := range subjectNames {
				all = append(all, r.median(one.Job, subject, speed))
			}
		}
		left := 60 + 430*float64(i)
		plot := newPlot(d, left, 80, 350, 210, all, "")
		d.text(left, 70, "", "start", method)
		x := func(clients int) float64 {
			return left + 15 + 320*math.Log2(float64(clients))/math.Log2(float64(jobs[len(jobs)-1].Clients))
		}
		for _, one := range jobs {
			d.text(x(one.Clients), 308, "small", "middle", fmt.Sprint(one.Clients))
		}
		for _, subject := range subjectNames {
			var points [][2]float64
			for _, one := range jobs {
				points = append(points, [2]float64{x(one.Clients), plot.y(r.median(one.Job, subject, speed))})
			}
			d.curve(points, subject)
		}
	}
	return d.end()
}
