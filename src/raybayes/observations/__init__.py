"""From a measured file to the counts that a study's detector would read.

What was done to the data is a list of sentences that the observation carries; what cannot be used
is refused in one.
"""

from raybayes.observations.observation import Observation, read_observation
from raybayes.observations.options import Reading, Target
from raybayes.observations.several import read_settings

__all__ = ["Observation", "Reading", "Target", "read_observation", "read_settings"]
