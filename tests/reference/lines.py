"""Absorption by spectral lines in HITRAN's own units: cross sections [cm^2/molecule] of wavenumbers [1/cm]."""

import math

C2 = 1.438776877  # h c / k [cm K]
K = 1.380649e-23
C_CM = 2.99792458e10
ATM_PA = 101_325.0
REF_K = 296.0
MASS_U = {1: 18.010565, 7: 31.989830}
ROTATION = {1: 1.5, 7: 1.0}


def cross_section(nu, temperature_k, own_atm, total_atm, line):
    """sigma [cm^2] of a line (molecule, nu0, S, air, own, E'', n, shift) in van Vleck and Huber's shape."""
    molecule, nu0, strength, air, own, energy, exponent, shift = line
    theta = REF_K / temperature_k
    boltzmann = math.exp(-C2 * energy / temperature_k) / math.exp(-C2 * energy / REF_K)
    emission = (1 - math.exp(-C2 * nu0 / temperature_k)) / (1 - math.exp(-C2 * nu0 / REF_K))
    strength = strength * theta ** ROTATION[molecule] * boltzmann * emission
    lorentz = theta**exponent * (air * (total_atm - own_atm) + own * own_atm)
    mass_kg = MASS_U[molecule] * 1.66053906892e-27
    doppler = nu0 / (C_CM / 100) * math.sqrt(2 * math.log(2) * K * temperature_k / mass_kg)
    width = 0.535 * lorentz + math.sqrt(0.217 * lorentz**2 + doppler**2)
    centre = nu0 + shift * total_atm
    shape = (width / ((nu - centre) ** 2 + width**2) + width / ((nu + centre) ** 2 + width**2)) / math.pi
    radiation = nu * math.tanh(C2 * nu / (2 * temperature_k)) / (nu0 * math.tanh(C2 * nu0 / (2 * temperature_k)))
    return strength * radiation * shape


def line_attenuation(freq_hz, dry_pressure_pa, temperature_k, vapour_density_kg_m3, lines):
    """k [1/m]: molecules in a cubic centimetre times their cross sections, a hundred times for metres."""
    vapour_pa = vapour_density_kg_m3 * 1e3 * temperature_k / 216.7 * 100
    total = 0.0
    for line in lines:
        partial = vapour_pa if line[0] == 1 else 0.20946 * dry_pressure_pa
        per_cm3 = partial / (K * temperature_k) * 1e-6
        pressures = partial / ATM_PA, (dry_pressure_pa + vapour_pa) / ATM_PA
        total += per_cm3 * cross_section(freq_hz / C_CM, temperature_k, *pressures, line) * 100
    return total
