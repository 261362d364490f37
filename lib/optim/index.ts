export {
  learningRateSchedule,
  learningRateScheduleNames,
  type LearningRateSchedule,
  type LearningRateScheduleName,
  type LearningRateScheduleOptions,
} from './schedule.js';
