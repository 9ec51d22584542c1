"""Slow NumPy versions of every profile, pixel by pixel, from the description of the released arithmetic."""

import math

import numpy as np


def to_bytes(images):
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(int)


def opencv_grey(image):
    """(3, H, W) integers -> (H, W) integers by OpenCV's 15-bit weights."""
    red, green, blue = image
    return (9798 * red + 19235 * green + 3735 * blue + 16384) >> 15


def weighted(image, weights):
    return sum(w * c for w, c in zip(weights, image, strict=True))


def shifted_fft(grey):
    return np.fft.fftshift(np.fft.fft2(grey))


def ring_lists(values, radius):
    """Values of every ring, by looping over the array; ``radius(row, column)`` gives the integer ring."""
    rings = {}
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            rings.setdefault(radius(row, column), []).append(values[row, column])
    return [rings[k] for k in sorted(rings)]


def nearest_radius(row, column, height, width):
    """Nearest integer to min(H, W) * hypot(row/H, column/W), half to even, in integers (no rounding luck)."""
    square, side = (row * width) ** 2 + (column * height) ** 2, max(height, width)
    whole = math.isqrt(square // side**2)
    beyond = 4 * square - (2 * whole + 1) ** 2 * side**2
    return whole + (beyond > 0 or (beyond == 0 and whole % 2 == 1))


def nearest_rings(power):
    height, width = power.shape
    y, x = (np.rint(np.fft.fftfreq(n) * n).astype(int).tolist() for n in (height, width))
    return ring_lists(power, lambda r, c: nearest_radius(y[r], x[c], height, width))


def means(rings):
    return np.array([math.fsum(ring) / len(ring) for ring in rings])


def min_max(profile):
    return (profile - profile.min()) / (profile.max() - profile.min())


def durall_rings(grey):
    spectrum = 20 * np.log(np.abs(shifted_fft(grey) + 1e-8))
    height, width = spectrum.shape

    def radius(row, column):
        return math.floor(math.hypot(column - (width - 1) / 2, row - (height - 1) / 2))

    return means(ring_lists(spectrum, radius))[1:-1]


def durall2019(image):
    grey = opencv_grey(to_bytes(image)) if len(image) == 3 else (image[0] + 1) * 127.5
    return durall_rings(grey.astype(float))


def four_digit_luma(image):
    return weighted(image, (0.2989, 0.5870, 0.1140)) if len(image) == 3 else image[0]


def durall2020(image):
    return min_max(durall_rings(four_digit_luma(image)))


def jung2021(image):
    image = (image + 1) / 2
    grey = weighted(image, (0.299, 0.587, 0.114)) if len(image) == 3 else image[0]
    spectrum = np.fft.rfft2(grey)
    height = grey.shape[0]
    values = np.roll(20 * np.log(np.abs(spectrum) ** 2 + 1e-8), height // 2, axis=0)
    return min_max(means(ring_lists(values, lambda row, col: math.floor(math.hypot(row - height // 2, col)))))


def ssdgan2021(image):
    spectrum = np.fft.fft2(four_digit_luma(image))
    re, im = spectrum.real + 1e-8, spectrum.imag + 1e-8
    values = np.fft.fftshift(np.log(np.sqrt(re**2 + im**2 + 1e-10) + 1e-10))
    height, width = values.shape
    rings = ring_lists(values, lambda row, col: math.floor(math.hypot(row - height // 2, col - width // 2)))
    profile = np.array([math.fsum(ring) / (len(ring) + 1e-10) for ring in rings])
    return min_max(profile[1:-2])


def schwarz2021(image):
    total = 0
    for channel in image:
        power = shifted_fft(channel)
        power = power.real**2 + power.imag**2
        if power.shape[0] % 2 == 0:
            power = np.concatenate((power, power[:1]), 0)
        if power.shape[1] % 2 == 0:
            power = np.concatenate((power, power[:, :1]), 1)
        y, x = power.shape[0] // 2, power.shape[1] // 2
        rings = ring_lists(power, lambda r, c, y=y, x=x: math.floor(math.hypot(r - y, c - x)))
        total = total + means(rings)
    return total / len(image)


def corvi_power(image):
    image = image - image.mean()
    image = image / np.sqrt((image**2).mean())
    power = np.mean([np.abs(np.fft.fft2(channel, norm="ortho")) ** 2 for channel in image], axis=0)
    return power / power.size


def corvi2023(image):
    return np.array([math.fsum(ring) for ring in nearest_rings(corvi_power(image))])


def corvi_angular(image, bins=16):
    power = corvi_power(image)
    y, x = np.fft.fftfreq(power.shape[0]), np.fft.fftfreq(power.shape[1])
    sums = np.zeros(bins)
    for row in range(power.shape[0]):
        for column in range(power.shape[1]):
            if math.hypot(y[row], x[column]) > 0.1:
                sums[int(np.round(bins * math.atan2(y[row], x[column]) / math.pi)) % bins] += power[
                    row, column
                ]
    return sums


def luma(image):
    return weighted(image, (0.299, 0.587, 0.114)) if len(image) == 3 else image[0]


def ganlab(image):
    grey = luma(image)
    power = np.abs(np.fft.fft2(grey)) ** 2 / grey.size
    return means(nearest_rings(power))[: min(grey.shape) // 2 + 1]


def axis_profiles(image):
    grey = luma(image)
    power = np.abs(np.fft.fft2(grey)) ** 2 / grey.size
    height, width = grey.shape
    return power.mean(0)[: width // 2 + 1], power.mean(1)[: height // 2 + 1]


PROFILES = {
    "ganlab": ganlab,
    "durall2019": durall2019,
    "durall2020": durall2020,
    "jung2021": jung2021,
    "ssdgan2021": ssdgan2021,
    "schwarz2021": schwarz2021,
    "corvi2023": corvi2023,
}
