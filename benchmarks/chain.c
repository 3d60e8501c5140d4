/* The five-element chain of benchmarks/tracer.py (M1, M2, G, M3, M4 of UE112 PGM-1, from the same
 * table) as one plain loop over rays per element and block. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 512
#define COLUMNS 80
enum { KIND, ROTATION = 1, OFFSET = 10, CUTOUT = 14, SHIFT = 21, SURFACE = 22 };

typedef struct { double x[BLOCK], y[BLOCK], z[BLOCK], u[BLOCK], v[BLOCK], w[BLOCK], e[BLOCK]; } rays;
typedef struct { double x[BLOCK], y[BLOCK], z[BLOCK]; } normals;

static void to_frame(const double *r, rays *a, int n) {
    const double *m = r + ROTATION, *t = r + OFFSET;
    for (int i = 0; i < n; i++) {
        double x = m[0] * a->x[i] + m[1] * a->y[i] + m[2] * a->z[i] + t[0];
        double y = m[3] * a->x[i] + m[4] * a->y[i] + m[5] * a->z[i] + t[1];
        double z = m[6] * a->x[i] + m[7] * a->y[i] + m[8] * a->z[i] + t[2];
        double u = m[0] * a->u[i] + m[1] * a->v[i] + m[2] * a->w[i];
        double v = m[3] * a->u[i] + m[4] * a->v[i] + m[5] * a->w[i];
        double w = m[6] * a->u[i] + m[7] * a->v[i] + m[8] * a->w[i];
        double s = -y / v;
        a->x[i] = x + s * u; a->y[i] = y + s * v; a->z[i] = z + s * w;
        a->u[i] = u; a->v[i] = v; a->w[i] = w;
    }
}

static void quadric(const double *r, rays *a, normals *k, int n) {
    const double *q = r + SURFACE; /* a11 a22 a33 a12 a13 a23 a14 a24 a34 a44 */
    for (int i = 0; i < n; i++) {
        double x = a->x[i], y = a->y[i], z = a->z[i], u = a->u[i], v = a->v[i], w = a->w[i];
        double gx = q[0] * x + q[3] * y + q[4] * z + q[6];
        double gy = q[3] * x + q[1] * y + q[5] * z + q[7];
        double gz = q[4] * x + q[5] * y + q[2] * z + q[8];
        double hx = q[0] * u + q[3] * v + q[4] * w;
        double hy = q[3] * u + q[1] * v + q[5] * w;
        double hz = q[4] * u + q[5] * v + q[2] * w;
        double A = u * hx + v * hy + w * hz, B = u * gx + v * gy + w * gz;
        double C = x * (gx + q[6]) + y * (gy + q[7]) + z * (gz + q[8]) + q[9];
        double s = -C / (B + copysign(sqrt(B * B - A * C), B));
        a->x[i] = x + s * u; a->y[i] = y + s * v; a->z[i] = z + s * w;
        double nx = gx + s * hx, ny = gy + s * hy, nz = gz + s * hz;
        double f = copysign(1 / sqrt(nx * nx + ny * ny + nz * nz), -(A * s + B));
        k->x[i] = f * nx; k->y[i] = f * ny; k->z[i] = f * nz;
    }
}

static void plane(rays *a, normals *k, int n) {
    for (int i = 0; i < n; i++) {
        double v = a->v[i], s = -a->y[i] / v;
        a->x[i] += s * a->u[i]; a->y[i] = 0; a->z[i] += s * a->w[i];
        k->x[i] = 0; k->y[i] = copysign(1, -v); k->z[i] = 0;
    }
}

static void toroid(const double *r, rays *a, normals *k, int n) {
    double R = r[SURFACE], rho = r[SURFACE + 1], q = R / rho;
    for (int i = 0; i < n; i++) {
        double x = a->x[i], y = a->y[i], z = a->z[i], u = a->u[i], v = a->v[i], w = a->w[i];
        double A = v * v + w * w + q * u * u, B = (y - R) * v + z * w + q * x * u;
        double C = y * y + z * z + q * x * x - 2 * R * y;
        double s = -C / (B + copysign(sqrt(B * B - A * C), B));
        a->x[i] = x + s * u; a->y[i] = y + s * v; a->z[i] = z + s * w;
    }
    for (int step = 0; step < 20; step++) {
        long moving = 0;
        for (int i = 0; i < n; i++) {
            double x = a->x[i], y = a->y[i], z = a->z[i], u = a->u[i], v = a->v[i], w = a->w[i];
            double p = copysign(sqrt(rho * rho - x * x), rho), g = x * x / (rho + p);
            double f = 0.5 * (y * y + z * z - g * g) - R * (y - g);
            double slope = p * (z * w - (R - y) * v) + (R - g) * x * u, h = f / slope, s = -h * p;
            double turn = h * x * u;
            x += s * u; y += s * v; z += s * w; p += turn; g -= turn;
            double nx = (g - R) * x, ny = (R - y) * p, nz = -z * p;
            double m = 1 / copysign(sqrt(nx * nx + ny * ny + nz * nz), ny);
            a->x[i] = x; a->y[i] = y; a->z[i] = z;
            k->x[i] = m * nx; k->y[i] = m * ny; k->z[i] = m * nz;
            moving += 0.5 * s * s * (1 + fabs(q) * u * u) * fabs(p) > 1e-9 * fabs(slope);
        }
        if (!moving) return;
    }
}

static void clip(const double *r, rays *a, long *lost, long mark, int n) {
    for (int i = 0; i < n; i++) {
        int in = (fabs(a->x[i]) < r[CUTOUT]) & (fabs(a->z[i] - r[CUTOUT + 2]) < r[CUTOUT + 1]);
        lost[i] = (lost[i] == 0) & !in ? mark : lost[i];
    }
}

static void reflect(rays *a, normals *k, int n) {
    for (int i = 0; i < n; i++) {
        double d = 2 * (a->u[i] * k->x[i] + a->v[i] * k->y[i] + a->w[i] * k->z[i]);
        a->u[i] -= d * k->x[i]; a->v[i] -= d * k->y[i]; a->w[i] -= d * k->z[i];
    }
}

static void diffract(double shift, rays *a, normals *k, int n) {
    for (int i = 0; i < n; i++) {
        double nx = k->x[i], ny = k->y[i], nz = k->z[i], u = a->u[i], v = a->v[i], w = a->w[i];
        double h = sqrt(nx * nx + ny * ny), inverse = 1 / h, mx = nx * inverse, my = ny * inverse;
        double px = my * u - mx * v;
        double pz = h * w - nz * (mx * u + my * v) - shift / a->e[i] * h;
        double up = sqrt(1 - px * px - pz * pz);
        a->u[i] = my * px + nx * up - nz * mx * pz;
        a->v[i] = ny * up - mx * px - nz * my * pz;
        a->w[i] = nz * up + h * pz;
    }
}

/* in and out: [7][n]; rows: [elements][COLUMNS]. */
void chain(const double *rows, long elements, const double *in, double *out, long *lost, long n) {
    rays *a = aligned_alloc(64, sizeof(rays));
    normals *k = aligned_alloc(64, sizeof(normals));
    double *columns[7] = {a->x, a->y, a->z, a->u, a->v, a->w, a->e};
    for (long start = 0; start < n; start += BLOCK) {
        int m = n - start < BLOCK ? n - start : BLOCK;
        for (int c = 0; c < 7; c++) memcpy(columns[c], in + c * n + start, m * sizeof(double));
        for (long j = 0; j < elements; j++) {
            const double *r = rows + j * COLUMNS;
            to_frame(r, a, m);
            if (r[KIND] == 3.0) plane(a, k, m);
            else if (r[KIND] == 2.0) toroid(r, a, k, m);
            else quadric(r, a, k, m);
            clip(r, a, lost + start, j + 1, m);
            if (r[SHIFT] == 0.0) reflect(a, k, m); else diffract(r[SHIFT], a, k, m);
        }
        for (int c = 0; c < 7; c++) memcpy(out + c * n + start, columns[c], m * sizeof(double));
    }
    free(a); free(k);
}
