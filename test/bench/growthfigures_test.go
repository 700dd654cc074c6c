package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// clientFigure has speed and peak memory against the number of clients, for each kind of operation.
func (g growth) clientFigure() string {
	a := g["clients"]
	if a == nil || len(a.Records) == 0 {
		return ""
	}
	r := &results{Records: a.Records}
	kinds, byKind := []string{}, map[string][]record{}
	for _, one := range r.jobs() {
		if byKind[one.Growth] == nil {
			kinds = append(kinds, one.Growth)
		}
		byKind[one.Growth] = append(byKind[one.Growth], one)
	}
	d := newDrawing(60+430*float64(len(kinds)), 620, "Growth in clients")
	d.legend(60, 44, subjectNames...)
	for i, kind := range kinds {
		jobs := byKind[kind]
		speed, unit := jobs[0].speed()
		left := 60 + 430*float64(i)
		d.clientCurves(r, jobs, left, 80, kind+", "+unit, subjectNames, speed)
		d.clientCurves(r, jobs, left, 360, kind+", peak MiB", subjectNames[1:], func(r record) float64 { return r.PeakMiB })
	}
	return d.end()
}

func (d *drawing) clientCurves(r *results, jobs []record, left, top float64, title string, subjects []string, field func(record) float64) {
	var all []float64
	for _, one := range jobs {
		for _, subject := range subjects {
			all = append(all, r.median(one.Job, subject, field))
		}
	}
	plot := newPlot(d, left, top, 350, 190, all, "")
	d.text(left, top-10, "", "start", title)
	most := jobs[len(jobs)-1].Clients
	x := func(clients int) float64 {
		return left + 15 + 320*math.Log2(float64(clients))/max(1, math.Log2(float64(most)))
	}
	for _, one := range jobs {
		d.text(x(one.Clients), top+208, "small", "middle", fmt.Sprint(one.Clients))
	}
	for _, subject := range subjects {
		var points [][2]float64
		for _, one := range jobs {
			points = append(points, [2]float64{x(one.Clients), plot.y(r.median(one.Job, subject, field))})
		}
		d.curve(points, subject)
	}
}

// objectFigure has a field for each operation: what a thing costs, against the number of things. A
// level line is linear growth.
func (g growth) objectFigure() string {
	a := g["objects"]
	if a == nil {
		return ""
	}
	series := slices.DeleteFunc(a.series(), func(s []walkCost) bool { return len(s) < 2 })
	if len(series) == 0 {
		return ""
	}
	const columns = 4
	rows := (len(series) + columns - 1) / columns
	d := newDrawing(60+270*columns, 60+210*float64(rows), "CPU-microseconds for each thing, against the number of things (level: linear)")
	for i, s := range series {
		left, top := 60+270*float64(i%columns), 80+210*float64(i/columns)
		var all []float64
		for _, c := range s {
			all = append(all, 1e6*c.CPU/float64(c.Things))
		}
		plot := newPlot(d, left, top, 190, 120, all, "")
		d.text(left, top-8, "", "start", strings.ReplaceAll(s[0].Operation, "`", ""))
		least, most := math.Log10(float64(s[0].Things)), math.Log10(float64(s[len(s)-1].Things))
		var points [][2]float64
		for k, c := range s {
			x := left + 15 + 160*(math.Log10(float64(c.Things))-least)/(most-least)
			points = append(points, [2]float64{x, plot.y(all[k])})
			d.text(x, top+138, "small", "middle", fmt.Sprint(c.Things))
		}
		d.curve(points, opaque)
	}
	return d.end()
}

// settingFigure has a bar for each setting and job: its CPU, as a ratio to the default's.
func (g growth) settingFigure() string {
	a := g["settings"]
	if a == nil {
		return ""
	}
	r := &results{Records: a.Records}
	names := slices.DeleteFunc(r.subjects(), func(s string) bool { return s == usual })
	if len(names) == 0 {
		return ""
	}
	const row, most, width, top = 17.0, 3.0, 150.0, 70.0
	d := newDrawing(320+190*float64(len(settingColumns)), top+30+row*float64(len(names)), "CPU beside the default setting's (1 = the same)")
	bottom := top + row*float64(len(names))
	for k, job := range settingColumns {
		left := 310 + 190*float64(k)
		d.text(left, 52, "", "start", job)
		for at := 0.0; at <= most; at++ {
			d.line(left+at/most*width, top-6, left+at/most*width, bottom, map[bool]string{true: "axis", false: "grid"}[at == 1])
			d.text(left+at/most*width, bottom+14, "small", "middle", fmt.Sprint(at))
		}
		for i, name := range names {
			y := top + row*float64(i)
			if k == 0 {
				d.text(300, y+11, "small", "end", strings.ReplaceAll(name, "`", ""))
			}
			v := ratios(r.values(job, name, cpuOf), r.values(job, usual, cpuOf))
			if len(v) == 0 {
				continue
			}
			d.bar(left, y+2, min(median(v), most)/most*width, 11, opaque)
			d.text(left+min(median(v), most)/most*width+4, y+11, "small", "start", fmt.Sprintf("%.2f", median(v)))
		}
	}
	return d.end()
}
